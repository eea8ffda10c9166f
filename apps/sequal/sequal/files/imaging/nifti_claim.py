"""What a NIfTI file claims to hold, read from its header as nibabel will understand it."""

import math
import struct
from pathlib import Path
from typing import Any, Final

import nibabel as nib
from nibabel.openers import ImageOpener

from sequal.errors import ImageError
from sequal.files.imaging.names import image_suffix

__all__ = ["LONGEST_HEADER", "check_nifti_length", "nifti_header"]

#: With its extensions; private ones hold whole DICOM headers.
LONGEST_HEADER: Final = 1 << 24
#: No byte that was compressed by deflate holds more.
_MOST_DEFLATED: Final = 1032


def nifti_header(path: Path) -> Any:  # noqa: ANN401
    """The header as nibabel will understand it; None when it is none to nibabel, which says so.

    Raises:
        ImageError: its pixels begin nowhere, or its extensions do not end before them.
    """
    with ImageOpener(path) as stream:
        start = stream.read(nib.Nifti2Header.sizeof_hdr + 4)
        # Its size and byte order at the front may be damaged: nibabel goes by others.
        form = next((form for form in (nib.Nifti1Header, nib.Nifti2Header) if form.may_contain_header(start)), None)
        if form is None:
            return None
        length = form.sizeof_hdr
        header = form(start[:length], check=False)
        offset = float(header["vox_offset"])
        if not 0 <= offset <= LONGEST_HEADER:
            raise ImageError(
                f"Expected the pixels of `{path.name}` to begin within {LONGEST_HEADER} bytes, got {offset:g}. "
                "Save the image again."
            )
        if len(start) > length and start[length]:
            _check_extensions(path, stream, start[length + 4 :], length + 4, int(offset), header.endianness)
    return header


def check_nifti_length(path: Path) -> None:
    """Refuse a file that cannot hold what its header says: nibabel takes the memory before it looks.

    Raises:
        ImageError: it is too short.
    """
    header = nifti_header(path)
    if header is None:
        return
    pixels, size = math.prod(map(abs, header.get_data_shape())), path.stat().st_size
    claimed = int(header["vox_offset"]) + pixels * header.get_data_dtype().itemsize
    if claimed > (size * _MOST_DEFLATED if image_suffix(path) == ".nii.gz" else size):
        raise ImageError(
            f"Expected `{path.name}` to hold the {claimed} bytes that its header says, got a file of {size} bytes, "
            "which is damaged or cut off. Copy it again."
        )


def _check_extensions(path: Path, stream: Any, read: bytes, at: int, end: int, order: str) -> None:  # noqa: ANN401
    """Walk over what stands between header and pixels: nibabel reads as much as each part claims."""
    content = read + stream.read(max(0, end - at - len(read)))
    place = 0
    while at + place + 16 <= end:
        size = struct.unpack_from(order + "i", content, place)[0] if len(content) >= place + 8 else 0
        if size < 8 or at + place + size > end:
            break
        place += size
    else:
        if end >= at:
            return
    raise ImageError(
        f"Expected the extensions of the header of `{path.name}` to end before its pixels, got one that does not. "
        "Save the image again."
    )
