"""Read any image the app knows into one `Frame`."""

import logging
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from sequal.errors import ImageError
from sequal.files.imaging.calibration import NOT_CALIBRATED, given_calibration
from sequal.files.imaging.claims import check_claim
from sequal.files.imaging.contents import Contents
from sequal.files.imaging.dicom import read_dicom
from sequal.files.imaging.duplicates import is_duplicated
from sequal.files.imaging.frame import Frame
from sequal.files.imaging.names import IMAGE_SUFFIXES, file_kind
from sequal.files.imaging.nifti import read_nifti
from sequal.files.imaging.nrrd_file import read_nrrd
from sequal.files.imaging.picture import read_picture
from sequal.files.imaging.placement import Placement, itk_affine
from sequal.files.imaging.self_contained import check_self_contained

__all__ = ["read_frame"]

logger = logging.getLogger(__name__)

#: NIfTI counts with 16 bits.
_LONGEST_AXIS: Final = 32_767
#: Pixel to RAS of a file without a position: ITK, and so 3D Slicer, lets its axes run as DICOM's do.
_LPS: Final = np.diag([-1.0, -1.0, 1.0, 1.0])


def read_frame(path: str | Path, *, spacing_mm: tuple[float, float] | None = None) -> Frame:
    """Read an image file: NIfTI, NRRD, PNG, JPEG, TIFF, BMP or DICOM.

    Pixels that are not finite are replaced by the smallest finite value, with a warning in the log. Constant
    images are read without complaint. Two identical slices are one frame. A photograph stands upright, whatever way
    its camera was held; a volume of one slice is a frame, whichever axis it is cut along.

    Args:
        path: The file.
        spacing_mm: `(dx, dy)`, millimetres per pixel, which overrides the calibration of the file; the
            affine stays what the file says, because results go back onto its grid.

    Returns:
        The frame, or the clip.

    Raises:
        ImageError: The file is missing, empty, damaged or of an unknown kind; its array is not one frame or
            one clip; no pixel is finite; `spacing_mm` is not credible.
    """
    source = Path(path)
    found = _contents(source)
    stored = found.array.reshape(_grid(found.array.shape, source))
    pixels = _finite(found.layout.to_frame(stored), source)
    if is_duplicated(pixels):
        pixels = pixels[:, :, :1]
    calibration = found.calibration if spacing_mm is None else given_calibration(spacing_mm)
    width, height, frames = pixels.shape
    affine = found.layout.frame_affine(found.place.affine, (width, height, frames))
    for note in found.notes:
        logger.warning("%s: %s", source.name, note)
    return Frame(
        pixels,
        affine,
        found.array.shape,
        calibration,
        source,
        layout=found.layout,
        place=found.place,
        notes=found.notes,
    )


def _contents(source: Path) -> Contents:
    """What the reader of its format finds in the file."""
    if not source.is_file() or source.stat().st_size == 0:
        raise ImageError(f"Expected `{source}` to be an image file, got {_came(source)}. Copy the image again.")
    kind = file_kind(source)
    if kind is None:
        raise ImageError(
            f"Expected `{source.name}` to end in one of {', '.join(IMAGE_SUFFIXES)} or to be DICOM, "
            "got neither. Convert it to one of these."
        )
    try:
        check_self_contained(source, kind)
        check_claim(source, kind)
        return _READERS[kind](source)
    except ImageError:
        raise
    # Each library has its own exceptions for damaged files, down to struct.error and AttributeError. Their words may
    # quote the file, so they are left out.
    except Exception as error:
        raise ImageError(
            f"Expected `{source.name}` to be a readable {kind} file, got {type(error).__name__} when it was read. "
            "Open it in a viewer and save it again."
        ) from error


def _came(source: Path) -> str:
    """What there is in place of a file with contents."""
    if source.is_file():
        return "an empty file"
    if source.is_dir():
        return "a folder"
    return "a pipe or a device" if source.exists() else "no such file"


def _read_picture(source: Path) -> Contents:
    array, layout = read_picture(source)
    affine = itk_affine(source, "picture")
    # Dots per inch are those of paper or of a screen: they tell where viewers show the picture, no more.
    notes = () if layout.plain else ("turned upright, as the orientation in the file says",)
    return Contents(array, Placement(_LPS.copy() if affine is None else affine), NOT_CALIBRATED, layout, notes)


def _read_dicom(source: Path) -> Contents:
    array, calibration = read_dicom(source)
    affine = itk_affine(source, "dicom")
    if affine is None:
        affine = _LPS.copy()
        affine[:2] *= np.array(calibration.spacing_mm or (1.0, 1.0))[:, np.newaxis]
    return Contents(array, Placement(affine, volume=True), calibration)


_READERS: Final = {"nifti": read_nifti, "nrrd": read_nrrd, "picture": _read_picture, "dicom": _read_dicom}


def _grid(shape: tuple[int, ...], source: Path) -> tuple[int, int, int]:
    """Shape of the file's array as `(W, H, F)`; axes beyond the third must have length one."""
    width, height, frames, *further = (*shape, 1, 1, 1)[: max(len(shape), 3)]
    frames_come_first = width == 1 and height > 1 and frames > 1
    if len(shape) < 2 or 0 in shape or frames_come_first or any(length != 1 for length in further):
        raise ImageError(
            f"Expected the array of `{source.name}` to be (W, H), (W, H, 1) or (W, H, frames), got {shape}. "
            "Save one frame or one clip a file, frames along the third axis."
        )
    if max(shape) > _LONGEST_AXIS:
        raise ImageError(
            f"Expected no axis of `{source.name}` to be longer than {_LONGEST_AXIS}, got {shape}: no NIfTI file "
            "could hold its label. Save a part of it."
        )
    return width, height, frames


def _finite(array: NDArray[Any], source: Path) -> NDArray[np.float32]:
    """Float32 copy without NaN and infinities."""
    if not (np.issubdtype(array.dtype, np.integer) or np.issubdtype(array.dtype, np.floating) or array.dtype == bool):
        raise ImageError(
            f"Expected the pixels of `{source.name}` to be real numbers, got {array.dtype}. Save it as 8 or 16 bit."
        )
    with np.errstate(over="ignore"):
        pixels = np.array(array, dtype=np.float32, order="C")
    bad = ~np.isfinite(pixels)
    if not bad.any():
        return pixels
    if bad.all():
        raise ImageError(
            f"Expected `{source.name}` to hold finite pixels, got only NaN or infinity. Export the image again."
        )
    logger.warning("%s: %d pixels are not finite; they are set to the smallest value.", source.name, int(bad.sum()))
    pixels[bad] = pixels[~bad].min()
    return pixels
