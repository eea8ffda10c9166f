"""Whose labels there are, and what each reader drew of an image."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sequal.anatomy.layer.convention import Convention
from sequal.anatomy.measurement import Departure
from sequal.anatomy.model import Model
from sequal.errors import LabelError, SettingsError
from sequal.files.imaging import Frame
from sequal.labels import NO_READERS
from sequal.study.folder import images_by_id

__all__ = ["LABELS", "Readers", "corrections", "find_readers", "without_bias"]

#: Where a study keeps labels, a folder for each tag.
LABELS: Final = "labels"
#: Images that stand for no bias at all: few images say little of a reader.
_PRIOR_IMAGES: Final = 2

#: By how much each reader is to be moved, LI and MA in millimetres and in pixels, by unit.
Corrections = Mapping[str, Mapping[str, tuple[float, float]]]


@dataclass(frozen=True)
class Readers:
    """The label files of several readers.

    Attributes:
        files: label file by image id, by the reader's name.
    """

    files: Mapping[str, Mapping[str, Path]]

    def read(self, image: str, frame: Frame, model: Model) -> tuple[dict[str, NDArray[np.uint8]], dict[str, str]]:
        """What each reader drew of an image.

        Args:
            image: its id.
            frame: the image.
            model: what is segmented.

        Returns:
            Label by reader, uint8 in the array of the image, classes and 255, with the rule of supervision applied;
            and why labels of other readers cannot be used.
        """
        labels, unusable = {}, {}
        for reader, files in self.files.items():
            if image not in files:
                continue
            try:
                labels[reader] = model.label_on(files[image], frame.grid, frame.layout, frame.affine)
            except LabelError as error:
                unusable[reader] = str(error)
        return labels, unusable


def find_readers(studies: Path, named: Sequence[str] = ()) -> Readers:
    """The readers of a study.

    Args:
        studies: the studies folder.
        named: `NAME`, a folder below `labels/` of the study, or `NAME=FOLDER`; none: every folder below `labels/` but
            `final` and `original`.

    Raises:
        SettingsError: fewer than two readers, one named twice, or one without labels.
    """
    if named:
        places = [_place(studies, text) for text in named]
    else:
        folders = sorted(path for path in (studies / LABELS).glob("*") if path.is_dir())
        places = [(path.name, path) for path in folders if path.name not in NO_READERS and images_by_id(path)]
    names = [name for name, _ in places]
    if len(names) < 2 or len(set(names)) < len(names):
        raise SettingsError(
            f"Expected two or more readers of different names, got {', '.join(names) or 'none'}. Name each with "
            f"--reader NAME, a folder in {studies / LABELS}, or with --reader NAME=FOLDER."
        )
    files = {name: images_by_id(folder) for name, folder in places}
    for name, folder in places:
        if not files[name]:
            raise SettingsError(
                f"Expected the folder of reader {name} to hold labels named as the images, got none in `{folder}`. "
                "Check the path."
            )
    return Readers(files)


def _place(studies: Path, text: str) -> tuple[str, Path]:
    name, given, folder = text.partition("=")
    if given and not (name.strip() and folder):
        raise SettingsError(f"Expected `--reader` to be NAME or NAME=FOLDER, got {text!r}. Write both.")
    return name.strip(), Path(folder) if given else studies / LABELS / name


def corrections(found: Sequence[Departure]) -> Corrections:
    """What takes each reader's own bias away: the boundaries are moved to where all readers have them on average.

    A mean of n images counts n / (n + 2).

    Args:
        found: departures of readers in a layer.
    """
    moved: dict[str, dict[str, tuple[float, float]]] = {}
    for one in found:
        if one.li is not None and one.ma is not None:
            share = one.images / (one.images + _PRIOR_IMAGES)
            moved.setdefault(one.reader, {})[one.unit] = (-share * one.li, -share * one.ma)
    return moved


def without_bias(
    label: NDArray[np.uint8], moved: Mapping[str, tuple[float, float]], frame: Frame, rng: np.random.Generator
) -> NDArray[np.uint8]:
    """A reader's label, moved to where all readers have the boundaries on average.

    Args:
        label: uint8 (W, H, F) in {0, 1, 255}.
        moved: of this reader, see `corrections`.
        frame: the image.
        rng: a part of a pixel is a whole pixel in as many of the labels.
    """
    spacing = frame.calibration.spacing_mm
    found, scale = ("mm", spacing[1]) if spacing is not None else ("px", 1.0)
    if found not in moved:
        return label
    li, ma = moved[found]
    convention = Convention(li / scale, ma / scale)
    return np.stack([convention.move(label[:, :, f], rng) for f in range(label.shape[2])], axis=2)
