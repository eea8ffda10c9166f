"""How many frames a file holds, from its header where that tells."""

from pathlib import Path
from typing import Any, Final

import nibabel as nib
from nibabel.openers import ImageOpener
from nibabel.spatialimages import HeaderDataError
from nibabel.wrapstruct import WrapStructError

from sequal.errors import ImageError
from sequal.files.imaging.names import file_kind, image_suffix
from sequal.files.imaging.reading import read_frame

__all__ = ["frame_count"]

_NIFTI_1: Final = 348
_ONE_PICTURE: Final = (".png", ".jpg", ".jpeg", ".bmp")


def frame_count(path: Path) -> int:
    """The number of frames of an image file; a frame that is stored twice may count as two.

    Raises:
        ImageError: it cannot be read.
    """
    if image_suffix(path) in _ONE_PICTURE:
        return 1
    try:
        found = _from_header(path)
    # Each library has its own exceptions for damaged files.
    except Exception as error:
        raise ImageError(
            f"Expected `{path.name}` to be a readable image, got {type(error).__name__} when its header was read. "
            "Open it in a viewer and save it again."
        ) from error
    return read_frame(path).grid[2] if found is None else found


def _from_header(path: Path) -> int | None:
    kind = file_kind(path)
    if kind == "nifti":
        header = _nifti_header(path)
        coloured = int(header["intent_code"]) != 0 or header.get_data_dtype().names is not None
        return None if coloured else _frames(header.get_data_shape())
    if kind == "dicom":
        import pydicom

        return int(pydicom.dcmread(path, stop_before_pixels=True).get("NumberOfFrames") or 1)
    return None


def _nifti_header(path: Path) -> Any:  # noqa: ANN401 - nibabel has no types
    """The header alone; nibabel's own loading takes ten times as long, which ten thousand files make felt."""
    with ImageOpener(path) as stream:
        start = stream.read(_NIFTI_1)
    try:
        return nib.Nifti1Header(start)
    except (HeaderDataError, WrapStructError):
        return nib.load(path).header  # of version 2, or damaged


def _frames(shape: tuple[int, ...]) -> int:
    """Frames of an array; a volume of one slice is a frame, whichever axis it is cut along."""
    return 1 if len(shape) < 3 or 1 in shape[:3] else int(shape[2])
