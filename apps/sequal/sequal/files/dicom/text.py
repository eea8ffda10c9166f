"""Names of a study as DICOM text: its limits of length and characters."""

import hashlib
import re
from typing import Final

from pydicom.dataset import Dataset

__all__ = ["name_character_set", "short_text"]

#: SpecificCharacterSet of UTF-8.
_UNICODE: Final = "ISO_IR 192"
#: Limit of the value representations LO and, a component, PN.
_LONGEST: Final = 64
_DIGEST: Final = 8
#: Backslash separates values; `^` and `=` separate the parts of a person's name.
_FORBIDDEN: Final = re.compile(r"[\\^=\x00-\x1f\x7f]")


def name_character_set(dataset: Dataset) -> None:
    """Say that texts are UTF-8 where the names need it; else they are ASCII, which all readers take."""
    names = f"{dataset.PatientID}{dataset.StudyDescription}"
    if names.isascii():
        dataset.pop("SpecificCharacterSet", None)
    else:
        dataset.SpecificCharacterSet = _UNICODE


def short_text(text: str) -> str:
    r"""A name that fits an LO or PN value, and stays different from every other.

    Args:
        text: any text.

    Returns:
        The text as it is where DICOM takes it; else without the characters that have a meaning there, cut to 64
        characters, and ending in 8 hexadecimal characters of its SHA-256.

    >>> short_text("p01 left"), short_text("a\\b")
    ('p01 left', 'a_b~c62016d0')
    """
    clean = _FORBIDDEN.sub("_", text).strip().encode("utf-8", "replace").decode()
    if clean == text and len(text) <= _LONGEST:
        return text
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:_DIGEST]
    return f"{clean[: _LONGEST - _DIGEST - 1]}~{digest}"
