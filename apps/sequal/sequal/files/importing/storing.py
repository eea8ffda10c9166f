"""Images and labels as the files that a study holds, written once and never over another."""

import gzip
import zlib
from pathlib import Path
from typing import Any, Final

import nibabel as nib
import numpy as np
from numpy.typing import NDArray

from sequal.files.imaging.calibration import calibration_note
from sequal.files.importing.candidate import ImageContents
from sequal.study.state import create_once

__all__ = ["IMPORT_SUFFIX", "holds", "image_file", "label_file", "put_new"]

#: Suffix of everything that an import writes.
IMPORT_SUFFIX: Final = ".nii.gz"
_WHOLE_TYPES: Final = (np.uint8, np.uint16, np.int16, np.int32)
_DESCRIPTION_BYTES: Final = 79


def image_file(contents: ImageContents) -> bytes:
    """An image as compressed NIfTI: (W, H, F) of the smallest fitting type, the calibration in the header.

    The same contents give the same bytes, so that an interrupted import recognises what it wrote.

    Args:
        contents: the image. Without calibration its spacing is 1 mm, which the app takes as none.

    Returns:
        The bytes of a `.nii.gz` file; `descrip` says where the calibration comes from.
    """
    return _nifti(_stored(contents), contents.affine, calibration_note(contents.calibration))


def label_file(label: NDArray[np.uint8], affine: NDArray[np.float64]) -> bytes:
    """A label (W, H, F) as compressed NIfTI with the geometry of its image."""
    return _nifti(label, affine, "label")


def put_new(path: Path, content: bytes) -> bool:
    """Write a file unless there is one of that name.

    Args:
        path: where; the folder is made.
        content: gzip-compressed bytes.

    Returns:
        Whether the file holds `content` now; False: another file of that name was there, and still is.

    Raises:
        OSError: it cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    return _same(create_once(path, content), content)


def holds(path: Path, content: bytes) -> bool:
    """Whether a file holds `content`, compressed in whatever way; False when there is no such file."""
    return path.is_file() and _same(path.read_bytes(), content)


def _same(there: bytes, content: bytes) -> bool:
    if there == content:
        return True
    try:
        return gzip.decompress(there) == gzip.decompress(content)
    except (OSError, EOFError, zlib.error):
        return False


def _stored(contents: ImageContents) -> NDArray[Any]:
    pixels = contents.pixels
    whole = np.rint(pixels)
    if not contents.whole_numbers and not np.array_equal(whole, pixels):
        return pixels
    smallest, largest = float(whole.min()), float(whole.max())
    for kind in _WHOLE_TYPES:
        if np.iinfo(kind).min <= smallest and largest <= np.iinfo(kind).max:
            return whole.astype(kind)
    return pixels


def _nifti(array: NDArray[Any], affine: NDArray[np.float64], description: str) -> bytes:
    image = nib.Nifti1Image(array, affine)
    image.header.set_xyzt_units("mm")
    image.header["descrip"] = description.encode("ascii", "replace")[:_DESCRIPTION_BYTES]
    # Neither time nor name go into the compressed file.
    return gzip.compress(image.to_bytes(), compresslevel=6, mtime=0)
