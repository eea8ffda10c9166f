"""DICOM files as candidates: ultrasound only, patients by salted hash, the burned-in header cut off."""

import re
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Final

from sequal.errors import ImageError
from sequal.files.imaging import Calibration, read_frame
from sequal.files.imaging.calibration import Region
from sequal.files.imaging.dicom_calibration import dicom_calibration
from sequal.files.importing.candidate import Candidate, ImageContents
from sequal.files.importing.dicom_region import image_region, left_out_regions
from sequal.files.importing.pseudonyms import Pseudonyms

__all__ = ["dicom_candidate"]

_ULTRASOUND: Final = ("US", "IVUS")
#: Ultrasound (multi-frame) image storage, current and retired, for files without a modality.
_ULTRASOUND_CLASSES: Final = tuple(f"1.2.840.10008.5.1.4.1.1.{number}" for number in ("3", "3.1", "6", "6.1", "6.2"))
_KEY_DIGITS: Final = 10
_INSTANCE_DIGITS: Final = 8
_PERSON_DIGITS: Final = 16
#: What is kept of each element: a deferred value is not read, but its presence is known.
_DEFER_BYTES: Final = 4096


def dicom_candidate(
    path: Path,
    name: str,
    pseudonyms: Callable[[], Pseudonyms],
    *,
    keep_patient_ids: bool = False,
    spacing_mm: tuple[float, float] | None = None,
) -> Candidate:
    """Look at the header of a DICOM file.

    Args:
        path: the file.
        name: its path within the source.
        pseudonyms: gives hashes with the study's salt; called for a usable file only.
        keep_patient_ids: name the patient by PatientID instead of its hash.
        spacing_mm: (dx, dy) that overrides the file's calibration.

    Returns:
        The candidate. Without PatientID the DICOM study stands for the patient. The id of the image is made of
        the patient and of the hashed SOPInstanceUID, never of the file name, which often tells the patient's.

    Raises:
        ImageError: not readable, no pixels, not ultrasound, or text that may name the patient cannot be cut off.
    """
    header = _header(path)
    _check_ultrasound(header)
    region = image_region(header)
    burned_in = str(header.get("BurnedInAnnotation") or "").upper() == "YES"
    if region is None and burned_in and not keep_patient_ids:
        raise ImageError(
            "Expected ultrasound regions in an image whose BurnedInAnnotation is YES, got none, so the text in it, "
            "perhaps the patient's name, cannot be cut off. Cut it off yourself, or give --keep-patient-ids."
        )
    patient_id, identity = _identity(header)
    hashes = pseudonyms()
    key = hashes.of("patient", identity, _KEY_DIGITS) if identity else ""
    patient = patient_id if keep_patient_ids and patient_id else f"pt{key}" if key else ""
    instance = str(header.get("SOPInstanceUID") or "") or name
    stem = re.sub(r"[^\w.-]+", "_", patient).strip("._-") or "pt"
    return Candidate(
        image=f"{stem}_{hashes.of('instance', instance, _INSTANCE_DIGITS)}",
        file=path,
        name=name,
        read=partial(_read, path, region, dicom_calibration(header, region), spacing_mm),
        patient=patient,
        spacing_mm=spacing_mm,
        note=left_out_regions(header, region)
        if region
        else "no ultrasound region: the whole picture is kept, with any text in it",
        record_name=keep_patient_ids,
        patient_key=key,
        person=_person(header, partial(hashes.of, digits=_PERSON_DIGITS)),
    )


def _header(path: Path) -> Any:  # noqa: ANN401
    try:
        import pydicom
    except ImportError as error:
        raise ImageError(
            "Expected `pydicom` to be installed to read DICOM files, got none. Install it with `pip install pydicom`."
        ) from error
    try:
        header = pydicom.dcmread(path, defer_size=_DEFER_BYTES)
        has_pixels = "PixelData" in header
        has_size = "Rows" in header and "Columns" in header
    except pydicom.errors.InvalidDicomError as error:
        raise ImageError(
            "Expected a readable DICOM file, got one without DICOM's mark (DICM behind 128 bytes). If it is DICOM "
            "all the same, write it anew, for example with `dcmconv` of DCMTK; else copy it again."
        ) from error
    # pydicom has many exceptions for damaged files, down to struct.error.
    except Exception as error:
        raise ImageError(
            f"Expected a readable DICOM file, got {type(error).__name__}: {str(error).rstrip('.')}. "
            "It may be cut off; copy it again."
        ) from error
    if has_pixels:
        return header
    if has_size:
        raise ImageError("Expected pixel data, got a file that ends before them. It is cut off; copy it again.")
    raise ImageError(
        f"Expected a DICOM image, got {header.get('Modality') or 'an object'} without pixels. "
        "Leave out reports and presentation states; a file that was cut off, copy again."
    )


def _check_ultrasound(header: Any) -> None:  # noqa: ANN401
    modality = str(header.get("Modality") or "")
    if modality in _ULTRASOUND or (not modality and header.get("SOPClassUID") in _ULTRASOUND_CLASSES):
        return
    raise ImageError(
        f"Expected an ultrasound image (Modality US or IVUS), got {modality or 'no modality'}. "
        "Leave other series out of the source."
    )


def _identity(header: Any) -> tuple[str, str]:  # noqa: ANN401
    """PatientID as it stands, and what makes the patient unique: issuer and id, else the DICOM study."""
    patient_id = str(header.get("PatientID") or "").strip()
    if patient_id:
        return patient_id, f"{str(header.get('IssuerOfPatientID') or '').strip()}\0{patient_id}"
    study = str(header.get("StudyInstanceUID") or "").strip()
    return "", f"study\0{study}" if study else ""


def _person(header: Any, hashed: Callable[[str, str], str]) -> dict[str, str]:  # noqa: ANN401
    """Hashes of what tells persons apart; the name as a set of words, because its parts change places."""
    words = sorted(re.findall(r"\w+", str(header.get("PatientName") or "").casefold()))
    values = {
        "name": " ".join(words),
        "birth date": str(header.get("PatientBirthDate") or "").strip(),
        "sex": str(header.get("PatientSex") or "").strip().upper(),
    }
    return {kind: hashed(kind, value) for kind, value in values.items() if value}


def _read(
    path: Path, region: Region | None, calibration: Calibration, spacing_mm: tuple[float, float] | None
) -> ImageContents:
    given = None if spacing_mm is None else Calibration(spacing_mm, "given")
    return ImageContents.of(replace(read_frame(path), calibration=calibration), given, region)
