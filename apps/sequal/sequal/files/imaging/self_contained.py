"""A file holds its own pixels: one that names another file as their place is refused before that one is opened."""

import gzip
import re
from collections.abc import Callable
from pathlib import Path
from typing import Final

from sequal.errors import ImageError
from sequal.files.imaging.names import FileKind, image_suffix

__all__ = ["check_self_contained"]

#: Teem and pynrrd differ in spaces and case; whichever reads the file, this is what it calls the other file.
_DATA_FILE: Final = re.compile(rb"(?:^|[\r\n])\s*data[\s_-]*file\s*:", re.IGNORECASE)
_LINE_SKIP: Final = re.compile(rb"(?:^|[\r\n])\s*line[\s_-]*skip\s*:=?\s*([0-9]+)", re.IGNORECASE)
_END_OF_HEADER: Final = re.compile(rb"\n\r?\n|\r\r")
#: Of an NRRD file. Segment names of a large segmentation take some kilobytes.
_LONGEST_HEADER: Final = 1 << 20
_MOST_LINES: Final = 1000
#: Where NIfTI says that header and pixels are one file: offset and mark, by the size of the header.
_ONE_FILE: Final = {348: (344, b"n+1"), 540: (4, b"n+2")}
#: Where it says that they are two.
_PAIR: Final = ((344, b"ni1"), (4, b"ni2"))


def check_self_contained(path: Path, kind: FileKind) -> None:
    """Refuse a detached NRRD header, or the header of a NIfTI pair.

    Whoever sends an image or a label could otherwise have any file of this computer read: with its bytes as pixels they
    would get it back, and a pipe or a device would be waited for without end. The other formats that the app reads name
    no files: pictures, and DICOM whose pixels are in the file.

    Args:
        path: a file that is there.
        kind: by its name.

    Raises:
        ImageError: the file names another one. What it names is not part of the message.
        OSError: the file cannot be read.
    """
    check = _CHECKS.get(kind)
    if check is not None:
        check(path)


def _check_nrrd(path: Path) -> None:
    with path.open("rb") as file:
        start = file.read(_LONGEST_HEADER)
    end = _END_OF_HEADER.search(start)
    header = start[: end.start()] if end else start
    if _DATA_FILE.search(header):
        raise ImageError(
            f"Expected `{path.name}` to hold its own pixels, got a detached header. Save it as one .nrrd file."
        )
    skipped = _LINE_SKIP.search(header)
    if skipped and int(skipped[1][:9]) > _MOST_LINES:
        raise ImageError(f"Expected `{path.name}` to skip at most {_MOST_LINES} lines, got more. Save it again.")


def _check_nifti(path: Path) -> None:
    try:
        with gzip.open(path) if image_suffix(path) == ".nii.gz" else path.open("rb") as file:
            header = file.read(max(_ONE_FILE))
    except (EOFError, gzip.BadGzipFile):
        return  # damaged: whoever reads it says so
    sizes = {int.from_bytes(header[:4], order) for order in ("little", "big")}
    marks = [_ONE_FILE[size] for size in sizes if size in _ONE_FILE]
    one_file = any(header[offset : offset + len(mark)] == mark for offset, mark in marks)
    # With a damaged size of the header readers go by the mark alone.
    a_pair = any(header[offset : offset + len(mark)] == mark for offset, mark in _PAIR)
    if (marks and not one_file) or (not marks and a_pair):
        raise ImageError(
            f"Expected `{path.name}` to hold its own pixels, got the header of a pair (.hdr and .img) or no NIfTI. "
            "Save it as one .nii or .nii.gz file."
        )


_CHECKS: Final[dict[FileKind, Callable[[Path], None]]] = {"nrrd": _check_nrrd, "nifti": _check_nifti}
