"""File names from image ids, which may hold anything a DICOM server or a user puts there."""

import hashlib
from urllib.parse import quote

from sequal.errors import StudyError

__all__ = ["file_stem"]

# NAME_MAX is 255 bytes on all usual file systems; the rest is left for suffixes.
_LONGEST = 180


def file_stem(image_id: str) -> str:
    """Encode an image id as a file name without suffix: no two ids share a name, none leaves its folder.

    Args:
        image_id: any non-empty string.

    Returns:
        The id with everything but letters, digits, `_`, `-`, `~` and inner dots percent-encoded; a long one
        is cut and carries its SHA-256 behind a `+`, which no encoded id holds.

    Raises:
        StudyError: the id is empty.

    >>> file_stem("1.2.840/frame 7")
    '1.2.840%2Fframe%207'
    """
    if not image_id:
        raise StudyError("Expected `image_id` to be a non-empty string, got ''. Give the image a name.")
    stem = quote(image_id, safe="", errors="surrogatepass")
    if stem.startswith("."):
        stem = "%2E" + stem[1:]
    if len(stem) <= _LONGEST:
        return stem
    digest = hashlib.sha256(image_id.encode("utf-8", "surrogatepass")).hexdigest()
    return f"{stem[: _LONGEST - 65]}+{digest}"
