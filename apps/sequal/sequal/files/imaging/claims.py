"""How many pixels a file claims to hold, known from its header alone: what claims too many is never read.

A file of a hundred bytes may claim four billion pixels, and compressed contents may be a thousand times the file. The
limit belongs to the process, as Pillow's own does, and is set once at its start.
"""

import bz2
import math
import re
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import IO, Any, Final

from PIL import Image

from sequal.errors import ImageError
from sequal.files.imaging.names import FileKind, file_kind
from sequal.files.imaging.nifti_claim import LONGEST_HEADER, check_nifti_length, nifti_header
from sequal.files.imaging.picture import PICTURE_FORMATS

__all__ = [
    "SETTING",
    "check_claim",
    "check_pixels",
    "claimed_pixels",
    "large_images_take_turns",
    "largest_upload",
    "set_largest_image",
]

#: Name of the setting that holds the limit.
SETTING: Final = "max_image_pixels"
_DEFAULT: Final = 100_000_000
_largest = _DEFAULT

_LONGEST_NRRD_HEADER: Final = 1 << 20
_MOST_SEGMENTS: Final = 255
#: What a compressed stream may hold beyond what its header says.
_SLACK: Final = 1 << 20
_PIECE: Final = 1 << 16
#: Longest number of a text encoding, with the space behind it.
_LONGEST_NUMBER: Final = 32
_DEFLATED: Final = "1.2.840.10008.1.2.1.99"
_SEGMENT: Final = re.compile(r"Segment\d+_(ID|LabelValue)")
#: From here on an image needs memory that not every thread should ask for at once.
_LARGE: Final = 10_000_000
_one_large_image = Lock()


def set_largest_image(pixels: int) -> None:
    """Set the limit of this process: how many pixels a file may claim, over all frames and channels."""
    global _largest
    _largest = pixels
    Image.MAX_IMAGE_PIXELS = pixels  # Pillow's guard as well: compressed DICOM frames have a size of their own


def largest_upload() -> int:
    """Bytes that an upload may have: those of the largest image in the widest type, with what stands around it."""
    return 8 * _largest + LONGEST_HEADER


def check_pixels(name: str, pixels: int, most: int | None = None) -> None:
    """Refuse a claim.

    Args:
        name: of the file or the series.
        pixels: how many it claims.
        most: a limit of its own, beside that of the process: the grid of an image, for its label.

    Raises:
        ImageError: there are more than the limit allows; the message names the setting.
    """
    if pixels > _largest:
        raise ImageError(
            f"Expected `{name}` to hold at most {_largest} pixels over all frames and channels (`{SETTING}`), got a "
            f"header that claims {pixels}. Save a part of it, or start the server with a larger `--conf {SETTING}`."
        )
    if most is not None and pixels > most:
        raise ImageError(
            f"Expected `{name}` to have the size of its frame, got a header that claims {pixels} pixels, while "
            f"{most} are allowed for this image. Draw the label on the image it belongs to."
        )


def check_claim(path: Path, kind: FileKind, most: int | None = None) -> None:
    """Refuse a file that claims more pixels than the limit, or that is larger or smaller inside than its header says.

    Args:
        path: an existing file.
        kind: as `file_kind` gives it.
        most: as for `check_pixels`.

    Raises:
        ImageError: it does.
        Exception: whatever the libraries raise on a damaged file; the callers turn it into an error of the app.
    """
    try:
        check_pixels(path.name, _CLAIMS[kind](path), most)
        if kind == "nrrd":
            _check_nrrd_data(path)
        elif kind == "nifti":
            check_nifti_length(path)
    except ImportError:
        return  # whoever reads the file says which library is missing


def claimed_pixels(path: Path) -> int:
    """How many pixels a file claims to hold; 0 for one that cannot be read."""
    try:
        kind = file_kind(path)
        return 0 if kind is None else _CLAIMS[kind](path)
    # Each library has its own exceptions for damaged files; whoever reads the file says what is wrong with it.
    except Exception:
        return 0


@contextmanager
def large_images_take_turns(path: Path) -> Iterator[None]:
    """Let one image of many pixels be worked on at a time: several at once would need the memory of all of them.

    Small ones never wait.
    """
    if claimed_pixels(path) < _LARGE:
        yield
        return
    with _one_large_image:
        yield


def _values(shape: Mapping[int, int] | Iterator[int] | list[int], bytes_each: int) -> int:
    """Pixels of a shape; one of more than eight bytes counts as several."""
    return math.prod(abs(int(length)) for length in shape) * max(1, math.ceil(bytes_each / 8))


def _nifti(path: Path) -> int:
    header = nifti_header(path)
    return 0 if header is None else _values(list(header.get_data_shape()), header.get_data_dtype().itemsize)


def _nrrd(path: Path) -> int:
    header, _ = _nrrd_header(path)
    if sum(bool(_SEGMENT.match(key)) for key in header) > 2 * _MOST_SEGMENTS:
        raise ImageError(f"Expected at most {_MOST_SEGMENTS} segments in `{path.name}`, got more. Save fewer.")
    return _values([int(size) for size in header["sizes"]], _nrrd_type(header).itemsize)


def _nrrd_header(path: Path) -> tuple[Mapping[str, Any], int]:
    """The header of a file, and where its data begins."""
    import nrrd

    with path.open("rb") as file:
        start = file.read(_LONGEST_NRRD_HEADER)
    end = re.search(rb"\r?\n\r?\n", start)
    length = end.end() if end else len(start)
    if length == _LONGEST_NRRD_HEADER:
        raise ImageError(
            f"Expected the header of `{path.name}` to end with an empty line within {_LONGEST_NRRD_HEADER} bytes, "
            "got none. Save the file again."
        )
    return nrrd.read_header(iter(start[:length].splitlines(keepends=True))), length


def _nrrd_type(header: Mapping[str, Any]) -> Any:  # noqa: ANN401 - a NumPy type
    from nrrd.reader import _determine_datatype

    return _determine_datatype(header)


def _check_nrrd_data(path: Path) -> None:
    """Unpack the data piece by piece, without keeping it: pynrrd unpacks all that there is."""
    header, start = _nrrd_header(path)
    claimed = math.prod(int(size) for size in header["sizes"]) * _nrrd_type(header).itemsize
    encoding = str(header.get("encoding", "raw")).lower()
    unpack: Callable[[IO[bytes]], Iterator[int]] = _lengths_as_they_are
    least, largest = claimed, claimed + _SLACK
    if encoding in ("gzip", "gz"):
        unpack = _gzip_lengths
    elif encoding in ("bzip2", "bz2"):
        unpack = _bzip2_lengths
    elif encoding in ("ascii", "text", "txt"):
        numbers = math.prod(int(size) for size in header["sizes"])
        least, largest = 2 * numbers - 1, numbers * _LONGEST_NUMBER + _SLACK
    found = 0
    with path.open("rb") as file:
        file.seek(start)
        for _ in range(min(max(0, int(header.get("line skip", 0))), _SLACK)):
            file.readline(_PIECE)
        for length in unpack(file):
            found += length
            if found > largest:
                raise ImageError(
                    f"Expected `{path.name}` to hold the {claimed} bytes that its header says, got more. Save it again."
                )
    if found < least:
        raise ImageError(
            f"Expected `{path.name}` to hold the {claimed} bytes that its header says, got fewer: it is damaged or cut "
            "off. Copy it again."
        )


def _lengths_as_they_are(file: IO[bytes]) -> Iterator[int]:
    while piece := file.read(_PIECE):
        yield len(piece)


def _gzip_lengths(file: IO[bytes]) -> Iterator[int]:
    unpacker = zlib.decompressobj(zlib.MAX_WBITS | 16)
    while not unpacker.eof and (piece := unpacker.unconsumed_tail or file.read(_PIECE)):
        yield len(unpacker.decompress(piece, _PIECE))


def _bzip2_lengths(file: IO[bytes]) -> Iterator[int]:
    unpacker = bz2.BZ2Decompressor()
    while not unpacker.eof:
        piece = file.read(_PIECE) if unpacker.needs_input else b""
        if unpacker.needs_input and not piece:
            return
        yield len(unpacker.decompress(piece, _PIECE))


def _picture(path: Path) -> int:
    total = 0
    try:
        with Image.open(path, formats=PICTURE_FORMATS) as image:
            for number in range(getattr(image, "n_frames", 1) if image.format == "TIFF" else 1):
                image.seek(number)
                total += image.width * image.height * len(image.getbands())
                if total > _largest:
                    break
    except Image.DecompressionBombError:
        total = max(total, 2 * _largest + 1)  # Pillow does not say how many
    return total


def _dicom(path: Path) -> int:
    import pydicom
    from pydicom.filereader import read_file_meta_info

    meta = read_file_meta_info(str(path))
    if str(meta.get("TransferSyntaxUID", "")) == _DEFLATED:
        _check_deflated(path, 144 + int(meta.get("FileMetaInformationGroupLength", 0)))
    header = pydicom.dcmread(path, stop_before_pixels=True, defer_size=_PIECE)
    lengths = [header.get("Rows"), header.get("Columns"), header.get("NumberOfFrames") or 1]
    if any(not isinstance(length, int) and not str(length).isdigit() for length in lengths):
        return 0  # no image, or a damaged one: pydicom says so
    samples = int(header.get("SamplesPerPixel") or 1)
    return _values([*(int(length) for length in lengths), samples], int(header.get("BitsAllocated") or 8) // 8)


def _check_deflated(path: Path, start: int) -> None:
    unpacker, found = zlib.decompressobj(-zlib.MAX_WBITS), 0
    with path.open("rb") as file:
        file.seek(start)
        while not unpacker.eof and (piece := unpacker.unconsumed_tail or file.read(_PIECE)):
            found += len(unpacker.decompress(piece, _PIECE))
            check_pixels(path.name, found // 8)


_CLAIMS: Final[dict[FileKind, Callable[[Path], int]]] = {
    "nifti": _nifti,
    "nrrd": _nrrd,
    "picture": _picture,
    "dicom": _dicom,
}
