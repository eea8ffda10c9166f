"""Which patient an image belongs to: from the study's manifest, else from its id, else its own."""

import csv
import logging
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path

from sequal.errors import StudyError
from sequal.files.text_files import read_table, same_text

__all__ = ["MANIFEST_NAME", "PatientNames", "patient_of"]

logger = logging.getLogger(__name__)

MANIFEST_NAME = "patients.csv"
_HEADER = ["image", "patient"]
_SUFFIXES = (".nii.gz", ".nii", ".dcm", ".png", ".jpg", ".jpeg", ".tif", ".tiff")


def patient_of(image_ids: Iterable[str], manifest: Path | None, pattern: str = "") -> dict[str, str]:
    r"""The patient of every image.

    Args:
        image_ids: ids as the datastore gives them.
        manifest: `patients.csv` of the studies folder (header `image,patient`; an image by its id or its
            file name, the id counting more); None or an absent file: there is none.
        pattern: regular expression with a group `patient`, searched in ids that the manifest does not name;
            empty: there is none.

    Returns:
        Patient by image id. An image that neither names is its own patient.

    Raises:
        StudyError: the manifest is malformed; the message names the line.

    >>> patient_of(["p07_left", "x"], None, r"^(?P<patient>p\d+)_")
    {'p07_left': 'p07', 'x': 'x'}
    """
    ids = dict.fromkeys(image_ids)
    names = PatientNames(manifest, pattern, ids)
    return {image: names[image] for image in ids}


class PatientNames(Mapping[str, str]):
    """Patient by image id as `patient_of` finds it, looked up one by one, for ids that come and go.

    Args:
        manifest: as for `patient_of`; it is read once.
        pattern: as for `patient_of`.
        ids: the images of the study, as they are when a patient is looked up.

    Raises:
        StudyError: the manifest is malformed.
    """

    def __init__(self, manifest: Path | None, pattern: str, ids: Collection[str]) -> None:
        self._pattern, self._ids = pattern, ids
        rows = _rows(manifest) if manifest is not None and manifest.is_file() else []
        self._by_name = dict(rows)
        self._by_stem = {_without_suffix(name): name for name, _ in rows}
        ids = {same_text(image) for image in ids} if rows else ids
        unknown = sum(name not in ids and _without_suffix(name) not in ids for name, _ in rows)
        if unknown:
            # Misspelt ids would put one patient's images on both sides of the split.
            logger.warning("%s names %d images that the study does not have.", manifest, unknown)

    def __getitem__(self, image: str) -> str:
        """The patient of an image; an image that nothing names is its own patient."""
        key = same_text(image)
        name = key if key in self._by_name else self._by_stem.get(key)
        named = self._by_name[name] if name is not None and (name == key or name not in self._ids) else None
        return named or _match(image, self._pattern) or image

    def __iter__(self) -> Iterator[str]:
        """The images of the study."""
        return iter(self._ids)

    def __len__(self) -> int:
        """Number of images of the study."""
        return len(self._ids)


def _match(image_id: str, pattern: str) -> str | None:
    found = re.search(pattern, image_id) if pattern else None
    return found["patient"] if found else None


def _rows(manifest: Path) -> list[tuple[str, str]]:
    rows: dict[str, str] = {}
    try:
        (_, header), *listed = read_table(manifest) or [(1, [])]
        if header != _HEADER:
            raise _malformed(manifest, 1, "the header `image,patient`")
        for number, cells in listed:
            if len(cells) != 2 or not all(cells):
                raise _malformed(manifest, number, "an image and a patient")
            image, patient = map(same_text, cells)
            if rows.setdefault(image, patient) != patient:
                raise _malformed(manifest, number, f"one patient for {image!r}")
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise StudyError(f"Expected `{manifest}` to be a UTF-8 CSV file, got: {error}. Save it as such.") from error
    return list(rows.items())


def _without_suffix(name: str) -> str:
    for suffix in _SUFFIXES:
        if name.lower().endswith(suffix):
            return name[: -len(suffix)]
    return name


def _malformed(manifest: Path, line: int, rule: str) -> StudyError:
    return StudyError(f"Expected line {line} of `{manifest}` to hold {rule}, got something else. Correct the line.")
