"""What happens to a submitted label before it may take the place of the one that is there."""

import logging
import re
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from lib.web.dicomweb.viewed import as_viewed
from sequal.anatomy.models import model_of
from sequal.errors import ImageError, LabelError, StorageError, StudyError
from sequal.files.imaging import (
    IMAGE_SUFFIXES,
    Frame,
    check_label,
    clean_label,
    image_stem,
    image_suffix,
    read_frame,
    read_label,
    says_no_layer,
)
from sequal.files.imaging.claims import large_images_take_turns
from sequal.files.imaging.nifti import read_nifti_array
from sequal.files.imaging.nrrd_file import names_segments
from sequal.files.imaging.segments import submitted_segments
from sequal.files.imaging.writing import write_on_frame
from sequal.labels import BACKGROUND, IGNORE, REVIEW
from sequal.settings import Settings
from sequal.study.state import StudyState, atomic_write

__all__ = ["MADE_BY", "NO_LAYER", "WARNINGS", "LabelGuard"]

logger = logging.getLogger(__name__)

#: Key of a label's info: the label says that the frame shows no layer.
NO_LAYER: Final = "no_layer"
#: What the annotator should know about his label, although it was stored.
WARNINGS: Final = "warnings"
#: The model that made a label; an expert's label has none.
MADE_BY: Final = "model"
#: Of an id in bytes: a file system takes 255, and copies in `replaced/` carry the date as well.
_LONGEST_ID: Final = 180
_FINAL: Final = "final"
_DEFAULTS: Final = Settings()
_TAG = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


class CheckedLabel(NamedTuple):
    """A label as it is stored.

    Attributes:
        file: on its image's grid.
        dropped: pixels by class that were left out of what was submitted.
    """

    file: Path
    dropped: dict[int, int]


class LabelGuard:
    """Checks a submitted label and brings it to its image's grid.

    A label that cannot be used is kept in `rejected/` with its reason and never reaches the study. One that can
    is handed on as `.nii.gz` on the image's own grid, so that (W, H), (W, H, 1) and (1, W, H) are one label from
    then on. The label that it replaces is kept in `replaced/`.

    Args:
        state: of the study.
        settings: of the study: what is segmented says which labels there are.

    Attributes:
        model: what is segmented.
    """

    def __init__(self, state: StudyState, settings: Settings = _DEFAULTS) -> None:
        self._state = state
        self.model = model_of(settings)

    @staticmethod
    def check_tag(tag: str) -> None:
        """Refuse a tag that is not a plain folder name (`../..` would leave the study).

        Raises:
            LabelError: it is not.
        """
        if not _TAG.fullmatch(tag):
            raise LabelError(
                f"Expected `tag` to be letters, digits, '.', '_' or '-', got {tag!r}. "
                "Use 'final' for a submitted label."
            )
        if tag.lower() == _FINAL and tag != _FINAL:  # one folder on many disks
            raise LabelError(
                f"Expected `tag` to be 'final' or another word, got {tag!r}. Use 'final' for a submitted label."
            )

    @staticmethod
    def check_new_image(image_id: str, file: Path) -> None:
        """Refuse an image whose id would leave the study, or whose file is none that the app reads.

        Raises:
            ImageError: it would, or is.
        """
        plain = Path(image_id).name == image_id and "\\" not in image_id and not image_id.startswith(".")
        if not plain or not image_id.isprintable() or len(image_id.encode("utf-8", "replace")) > _LONGEST_ID:
            raise ImageError(
                f"Expected `image` to be a plain file name of at most {_LONGEST_ID} bytes, got {image_id[:80]!r}. "
                "Leave out folders, the leading dot and characters that cannot be seen."
            )
        if not image_suffix(file):
            raise ImageError(
                f"Expected the image to be one of {', '.join(IMAGE_SUFFIXES)}, got {file.suffix or 'no suffix'!r}. "
                "Convert it first."
            )
        read_frame(file)

    def read(
        self,
        image_id: str,
        image: Path,
        submitted: Path,
        info: Mapping[str, Any] | None = None,
        *,
        by_expert: bool = True,
        viewed: bool = False,
    ) -> tuple[Frame, NDArray[np.uint8], dict[int, int]]:
        """A submitted label as it would be stored; nothing is kept of it.

        Args:
            image_id: Its image.
            image: The file of that image.
            submitted: The file that came.
            info: As for `checked`.
            by_expert: As for `checked`.
            viewed: As for `checked`.

        Returns:
            The image, its label uint8 `(W, H, F)` in {0, 1, 255}, and the pixels by class that were left out.

        Raises:
            LabelError: wrong grid, unreadable, nothing but other segments or pixels that were not annotated.
            ImageError: the image cannot be read.
        """
        named = submitted_segments((info or {}).get("label_info"))
        frame = read_frame(image)
        seen = as_viewed(frame) if viewed else frame
        shown = self._state.shown.get(image_id) if seen.duplicated else None
        labels = self.model.labels
        affine = frame.affine if self.model.spatial_dims == 3 else None
        read = read_label(
            submitted, frame.grid, named=named, shown=shown, layout=seen.layout, labels=labels, affine=affine
        )
        label, dropped = clean_label(read, self.model.classes)
        if by_expert:
            if dropped and not (self.model.drops_numbers or named or names_segments(submitted)):
                self.model.check_values(read, submitted.name)
            # Before the check: a grey picture must not be told to draw the layer.
            self.model.warnings(label, frame, dropped)
            check_label(label, frame, dropped, labels)
            self._check_no_review(image_id, label)
        if dropped:
            logger.info("Dropped stray segments from the label of %s: pixels by class %s", image_id, dropped)
        return frame, label, dropped

    def _check_no_review(self, image_id: str, label: NDArray[np.uint8]) -> None:
        """Refuse an area to look at that came back as it was given out, without the name of its segment."""
        reviewed = self._state.reviewed.get(image_id)
        drawn = (label != BACKGROUND) & (label != IGNORE)
        if drawn.any() and reviewed is not None and np.array_equal(drawn, reviewed != BACKGROUND):
            raise LabelError(
                f"Expected a label of {image_id}, got the area `{REVIEW}` that the model gave as one to look at. "
                "Submit what you drew."
            )

    @contextmanager
    def checked(
        self,
        image_id: str,
        image: Path,
        submitted: Path,
        info: Mapping[str, Any] | None = None,
        *,
        by_expert: bool = True,
        viewed: bool = False,
    ) -> Iterator[CheckedLabel]:
        """The submitted label, cleaned and on its image's grid, as a temporary file.

        Args:
            image_id: Its image.
            image: The file of that image.
            submitted: The file that came.
            info: What came beside it; `label_info` names the segments of a file of numbers.
            by_expert: Whether the label is to be learnt from; another one, as a model's mask, has to be a label of its
                image and no more.
            viewed: Whether it has the slices that the image has in a viewer (`as_viewed`), not those of its file.

        Raises:
            LabelError: wrong grid, unreadable, nothing but other segments or pixels that were not annotated; the
                file is then in `rejected/`.
        """
        with _temporary_folder() as folder:
            clean = Path(folder) / "label.nii.gz"
            try:
                with large_images_take_turns(image):
                    frame, label, dropped = self.read(
                        image_id, image, submitted, info, by_expert=by_expert, viewed=viewed
                    )
            except (LabelError, ImageError) as error:
                self.keep_rejected(image_id, submitted, str(error))
                raise LabelError(f"The label was not accepted. {error}") from error
            try:
                write_on_frame(clean, label, frame)
            except OSError as error:
                raise _no_room(error) from error
            yield CheckedLabel(clean, dropped)

    def noted(self, info: Mapping[str, Any] | None, checked: CheckedLabel, image: Path | None = None) -> dict[str, Any]:
        """What is noted about a label: what the client said, and what the app says of it.

        Args:
            info: What came beside the label.
            checked: What `checked` gave.
            image: The file of its image; without it nothing is said of the layer.

        Returns:
            `info`, with `no_layer` when the label says that, and `warnings` for the annotator where there are any.
        """
        told = {key: value for key, value in (info or {}).items() if key not in (NO_LAYER, WARNINGS)}
        if says_no_layer(read_nifti_array(checked.file)):
            return told | {NO_LAYER: True}
        if image is None:
            return told
        frame = read_frame(image)
        label = read_label(checked.file, frame.grid, layout=frame.layout)
        warnings = self.model.warnings(label, frame, checked.dropped)
        return told | ({WARNINGS: list(warnings)} if warnings else {})

    def keep_rejected(self, image_id: str, submitted: Path, reason: str) -> None:
        """Keep a copy of what was submitted, if it can be kept, with the reason why it is no label of the study."""
        try:
            with tempfile.TemporaryDirectory() as folder:
                copy = Path(folder) / f"submitted{image_suffix(submitted) or submitted.suffix}"
                shutil.copyfile(submitted, copy)
                kept = self._state.rejected.put(image_id, copy, reason)
        except (OSError, StudyError) as error:
            logger.warning("Rejected a label for %s, which cannot be kept (%s): %s", image_id, error, reason)
        else:
            logger.warning("Rejected a label for %s, kept as %s: %s", image_id, kept, reason)

    def keep_replaced(self, image_id: str, current: Path, kind: str = "final") -> None:
        """Copy what is about to be replaced or removed to `replaced/`; nothing an expert drew is ever lost.

        Args:
            image_id: its image.
            current: the file.
            kind: the tag of a label, or `image`.

        Raises:
            OSError: it cannot be copied; then nothing may replace it.
        """
        folder = self._state.root / "replaced"
        folder.mkdir(exist_ok=True)
        stamp = time.strftime("%Y%m%dT%H%M%S", time.gmtime()) + f"-{time.time_ns() % 10**9:09d}"
        mark = "" if kind == "final" else f".{kind}"
        target = folder / f"{image_stem(current)}.{stamp}{mark}{image_suffix(current) or current.suffix}"
        with current.open("rb") as source, atomic_write(target) as copy:
            shutil.copyfileobj(source, copy)
        logger.info("Kept the former %s of %s", "image" if kind == "image" else "label", image_id)


@contextmanager
def _temporary_folder() -> Iterator[str]:
    try:
        folder = tempfile.TemporaryDirectory()
    except OSError as error:
        raise _no_room(error) from error
    with folder as path:
        yield path


def _no_room(error: OSError) -> StorageError:
    return StorageError(
        f"Expected the folder for temporary files ({tempfile.gettempdir()}) to have room, got: {error}. Nothing was "
        "changed; free some space there, or set TMPDIR to another folder, and submit the label again."
    )
