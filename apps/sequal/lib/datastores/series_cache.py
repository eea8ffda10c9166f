"""Series of a PACS as image files in a folder."""

import json
import logging
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from filelock import FileLock

from lib.datastores.archive import ImageArchive, Series
from sequal.anatomy.model import Model
from sequal.errors import ImageError
from sequal.files.imaging.calibration import calibration_note
from sequal.files.imaging.writing import write_mask
from sequal.study.state import atomic_write

__all__ = ["SeriesCache"]

logger = logging.getLogger(__name__)

_SUFFIX = ".nii.gz"
#: Raised when an image is made of its instances in another way; images of another form are made anew.
_FORM, _FORM_NAME = "2", ".form"


class SeriesCache:
    """Fetches a series once, whichever process needs it first.

    `<uid>/` holds the DICOM instances as they came, `<uid>.nii.gz` the image made of them, `unusable/<uid>.json` why
    there is none.

    Args:
        archive: the PACS.
        folder: of the study; may be shared with processes that train and score.
        model: says what a series is as an image.
    """

    def __init__(self, archive: ImageArchive, folder: Path, model: Model) -> None:
        self._archive, self._folder, self._model = archive, folder, model
        self._notes = folder / "unusable"
        self._drop_other_forms()

    def file(self, uid: str) -> Path:
        """Where the image of a series is, or will be."""
        return self._folder / f"{uid}{_SUFFIX}"

    def instances(self, uid: str) -> Path:
        """Folder of the DICOM instances of a series."""
        return self._folder / uid

    def has(self, uid: str) -> bool:
        """Whether the image is here."""
        return self.file(uid).exists()

    def usable(self, listed: Iterable[Series]) -> set[str]:
        """UIDs of those series that were not found to be no image, by whichever process."""
        series = {one.uid: one for one in listed}
        return series.keys() - self.reasons(series.values()).keys()

    def reasons(self, listed: Iterable[Series]) -> dict[str, str]:
        """Why series were found to be no image, by UID; only their notes are opened, not one for each series."""
        noted = {path.stem for path in self._notes.glob("*.json")}
        return {one.uid: told for one in listed if one.uid in noted and (told := self.unusable(one))}

    def unusable(self, series: Series) -> str:
        """Why a series was found to be no image; empty when it was not, or has other instances by now."""
        path = self._notes / f"{series.uid}.json"
        try:
            note = json.loads(path.read_bytes())
            return str(note["reason"]) if int(note["instances"]) == series.instances else ""
        except FileNotFoundError:
            return ""
        except (OSError, ValueError, LookupError, TypeError) as error:
            logger.warning("%s cannot be read (%s); the series is looked at again.", path, error)
            with suppress(OSError):
                path.unlink()
            return ""

    def fetch(self, series: Series) -> Path:
        """Bring the image of a series here.

        Returns:
            Its file, `(W, H, F)` with its geometry.

        Raises:
            PacsError: the PACS does not answer.
            ImageError: the series is of another modality than the model's images, or cannot be read; then it counts as
                unusable until it changes.
        """
        if series.modality not in self._model.modalities:
            raise ImageError(
                f"Expected an image of the model `{self._model.name}` to be a series of Modality "
                f"{' or '.join(self._model.modalities)}, got {series.uid}, which is of {series.modality or 'none'}. "
                "Open a series of the former, or ask the model that is for the latter."
            )
        known = self.unusable(series)
        if known:
            raise ImageError(known)
        self.fetch_instances(series)
        with self._turn(series.uid):
            if self.has(series.uid):
                return self.file(series.uid)
            try:
                self._convert(series.uid)
            except ImageError as error:
                self._give_up(series, str(error))
                raise
        return self.file(series.uid)

    def fetch_instances(self, series: Series) -> None:
        """Bring the DICOM instances of a series here.

        Raises:
            PacsError: the PACS does not answer.
            ImageError: it has none.
        """
        with self._turn(series.uid):
            if not self.instances(series.uid).is_dir():
                self._archive.download(series, self.instances(series.uid))

    def _drop_other_forms(self) -> None:
        form = self._folder / _FORM_NAME
        if not self._folder.is_dir() or (form.exists() and form.read_text(encoding="utf-8") == _FORM):
            return
        for image in self._folder.glob(f"*{_SUFFIX}"):
            image.unlink(missing_ok=True)
        with atomic_write(form) as file:
            file.write(_FORM.encode())

    def _turn(self, uid: str) -> FileLock:
        """One process at a time."""
        return FileLock(self._folder / f".{uid}.lock")

    def _convert(self, uid: str) -> None:
        image = self._model.read_series(self.instances(uid))
        temporary = self._folder / f".{time.time_ns()}{_SUFFIX}"
        try:
            write_mask(temporary, image.pixels, image.affine, note=calibration_note(image.calibration))
            temporary.replace(self.file(uid))
        finally:
            temporary.unlink(missing_ok=True)

    def _give_up(self, series: Series, reason: str) -> None:
        """Remember why; the instances go, so that they are fetched again when the series has changed."""
        logger.warning("Leaving out series %s: %s", series.uid, reason)
        for instance in self.instances(series.uid).glob("*.dcm"):
            instance.unlink()
        self.instances(series.uid).rmdir()
        self._notes.mkdir(exist_ok=True)
        with atomic_write(self._notes / f"{series.uid}.json") as file:
            file.write(json.dumps({"instances": series.instances, "reason": reason}, indent=1).encode())
