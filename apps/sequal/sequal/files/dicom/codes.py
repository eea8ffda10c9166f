"""What segmentations and reports speak of, in codes.

Where SNOMED CT or DICOM has a code that fits, it is taken. DICOM's context groups (PS3.16) have neither intima-media
thickness nor the complex of both layers; those stand in a private scheme, which every object declares.
"""

import hashlib
from contextlib import suppress
from typing import Final

from highdicom.coding_schemes import CodingSchemeIdentificationItem
from highdicom.sr import CodedConcept
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes

from sequal.files.imaging import Calibration
from sequal.labels import same_name

__all__ = [
    "ANATOMY",
    "CALIBRATION_SOURCE",
    "CAROTID_ARTERY",
    "COLUMNS",
    "FLAG",
    "IMT",
    "INTIMA_MEDIA_COMPLEX",
    "LENGTH",
    "MILLIMETRE",
    "NOT_ANNOTATED_PIXELS",
    "PIXEL",
    "POLYLINE_IMT",
    "SCHEME",
    "SPATIAL_CONCEPT",
    "ULTRASONOGRAPHY",
    "calibration_code",
    "declare_scheme",
    "private_code",
    "structure_code",
]

SCHEME: Final = "99SEQUAL"
_SCHEME_NAME: Final = "SEQUAL, terms without a public code"
#: Limits of a code's value (SH) and meaning (LO).
_LONGEST_VALUE, _LONGEST_MEANING = 16, 64

ANATOMY: Final = CodedConcept("123037004", "SCT", "Anatomical Structure")
CAROTID_ARTERY: Final = CodedConcept("69105007", "SCT", "Carotid Artery")
ULTRASONOGRAPHY: Final = CodedConcept("16310003", "SCT", "Ultrasonography")
SPATIAL_CONCEPT: Final = CodedConcept("309825002", "SCT", "Spatial and Relational Concept")
MILLIMETRE: Final = CodedConcept("mm", "UCUM", "mm")
PIXEL: Final = CodedConcept("{pixels}", "UCUM", "pixels")


def private_code(value: str, meaning: str) -> CodedConcept:
    """A code of this app's own scheme; what is too long is cut."""
    return CodedConcept(value[:_LONGEST_VALUE], SCHEME, meaning[:_LONGEST_MEANING])


def structure_code(name: str) -> CodedConcept:
    """What a structure of a volume is: SNOMED CT's code where pydicom's dictionary has one of that name, else our own.

    >>> structure_code("left_atrium").meaning, structure_code("lesion 2").scheme_designator
    ('Left atrium', '99SEQUAL')
    >>> structure_code("stenosis").scheme_designator  # SNOMED CT has several of this name
    '99SEQUAL'
    """
    word = "".join(part.capitalize() for part in same_name(name).split("-"))
    known = None
    if word.isidentifier():
        with suppress(AttributeError, RuntimeError):  # of an unknown name, and of one with several codes
            known = getattr(codes.SCT, word)
    if known is None:
        return private_code(hashlib.sha256(same_name(name).encode()).hexdigest()[:_LONGEST_VALUE].upper(), name)
    return CodedConcept(known.value, known.scheme_designator, known.meaning)


def calibration_code(calibration: Calibration) -> CodedConcept:
    """Where the calibration was read, as a code; why there is none, as its meaning."""
    value = calibration.source.upper().replace(" ", "_") if calibration.calibrated else "NONE"
    return private_code(value, calibration.source)


def declare_scheme(dataset: Dataset) -> None:
    """Say in an object what this app's scheme is, so that its codes can be told from others' of that name."""
    item = CodingSchemeIdentificationItem(SCHEME, name=_SCHEME_NAME, responsible_organization="SEQUAL")
    dataset.CodingSchemeIdentificationSequence = [item]


INTIMA_MEDIA_COMPLEX: Final = private_code("IMC", "Intima-media complex")
NOT_ANNOTATED_PIXELS: Final = private_code("UNKNOWN", "Not annotated")
IMT: Final = private_code("IMT", "Intima-media thickness")
POLYLINE_IMT: Final = private_code("IMT_POLYLINE", "Intima-media thickness, polyline distance")
LENGTH: Final = private_code("LENGTH", "Length of wall measured")
COLUMNS: Final = private_code("COLUMNS", "Image columns measured")
CALIBRATION_SOURCE: Final = private_code("CALIBRATION", "Source of the calibration")
FLAG: Final = private_code("FLAG", "What to know before using the figures")
