"""A study folder read without a server: images, expert labels and patients, under the ids that the server gives."""

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from sequal.errors import StudyError
from sequal.files.imaging import file_kind, image_stem, image_suffix
from sequal.files.imaging.names import is_storable_name
from sequal.files.text_files import same_text
from sequal.study.items import Item
from sequal.study.state import MANIFEST_NAME, patient_of

__all__ = ["FINAL_LABELS", "StudyFiles", "images_by_id"]

logger = logging.getLogger(__name__)

#: Where MONAI Label keeps submitted labels, within the studies folder.
FINAL_LABELS: Final = Path("labels") / "final"


def images_by_id(folder: Path, *, dicom_without_suffix: bool = False) -> dict[str, Path]:
    """The image files of one folder (not of its subfolders), sorted by name.

    Args:
        folder: where to look; a missing one holds nothing.
        dicom_without_suffix: also take files without a known suffix that begin as DICOM does, which the server
            does not list.

    Returns:
        File by image id, the file name without its suffix. Of two files with one id the first by name counts, as
        in the server, and the log names the other.
    """
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir()) if folder.is_dir() else []:
        known = image_suffix(path) or (dicom_without_suffix and path.is_file() and file_kind(path) == "dicom")
        if not known or not path.is_file() or not is_storable_name(path.name):
            continue
        image = image_stem(path)
        if image in found:
            logger.warning("Two files with one id: %s is used, %s is not.", found[image].name, path.name)
        else:
            found[image] = path
    return found


@dataclass(frozen=True)
class StudyFiles:
    """The files of one study.

    Attributes:
        folder: the studies folder.
        images: image file by id, sorted by file name.
        labels: expert's label file by image id, only of images that are there.
    """

    folder: Path
    images: Mapping[str, Path]
    labels: Mapping[str, Path]

    @classmethod
    def open(cls, folder: Path) -> Self:
        """List a studies folder.

        Raises:
            StudyError: it is not a folder, or holds no image.
        """
        if not folder.is_dir():
            came = "a file" if folder.exists() else "no such folder"
            raise StudyError(f"Expected `{folder}` to be a studies folder, got {came}. Check the path.")
        images = images_by_id(folder)
        if not images:
            raise StudyError(
                f"Expected `{folder}` to hold images, got none. Copy NIfTI, DICOM, PNG, JPEG or TIFF files into it."
            )
        labels = images_by_id(folder / FINAL_LABELS)
        # As the server does, where a label's name only looks like that of its image.
        looks = {same_text(label): path for label, path in labels.items() if label not in images}
        found = {image: labels.get(image) or looks.get(same_text(image)) for image in images}
        return cls(folder, images, {image: path for image, path in found.items() if path is not None})

    @property
    def labelled(self) -> list[str]:
        """Ids of images with an expert's label, sorted."""
        return sorted(self.labels)

    @property
    def unlabelled(self) -> list[str]:
        """Ids of images without one, sorted."""
        return sorted(self.images.keys() - self.labels.keys())

    def patients(self, pattern: str = "") -> dict[str, str]:
        """Patient by image id, as `sequal.study.state.patient_of` finds it.

        Raises:
            StudyError: `patients.csv` is malformed.
        """
        return patient_of(self.images, self.folder / MANIFEST_NAME, pattern)

    def items(self, ids: Iterable[str], pattern: str = "") -> list[Item]:
        """The named images with label and patient, in the given order."""
        patients = self.patients(pattern)
        return [Item(image, self.images[image], self.labels.get(image), patients[image]) for image in ids]
