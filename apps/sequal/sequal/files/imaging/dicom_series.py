"""A DICOM series as one image: its instances in the order in which viewers stack them, and its geometry."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sequal.errors import ImageError
from sequal.files.imaging.calibration import Calibration
from sequal.files.imaging.claims import check_claim, check_pixels, claimed_pixels
from sequal.files.imaging.dicom import read_dicom
from sequal.files.imaging.dicom_calibration import series_calibration

if TYPE_CHECKING:
    import pydicom

__all__ = ["SeriesImage", "read_instance", "read_series", "read_series_headers", "smallest_type"]

#: Directions that miss unit length or a right angle by more are none.
_RIGHT_ANGLE = 1e-3
#: From DICOM's patient axes (left, back, head) to nibabel's (right, front, head).
_LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0])


@dataclass(frozen=True, eq=False)
class SeriesImage:
    """The pixels of a series.

    Attributes:
        pixels: `(W, H, F)`, uint8 or int16 where all values are whole numbers that fit, else float32.
        affine: Float64 `(4, 4)`, pixel to RAS millimetres; spacing 1 where the series is not calibrated.
        calibration: That all instances share; none where they differ.
    """

    pixels: NDArray[Any]
    affine: NDArray[np.float64]
    calibration: Calibration


def read_series_headers(folder: Path) -> "list[pydicom.FileDataset]":
    """The instances of a series without their pixels, in the order of their slices.

    They are sorted along the normal of the images, as ITK (and so MONAI Label) and OHIF do, else by their numbers.

    Args:
        folder: holds `.dcm` files of one series and nothing else.

    Returns:
        The data sets; `filename` says where each was read.

    Raises:
        ImageError: there is none, or one cannot be read.
    """
    import pydicom  # models know this file, and rounds run where there is no pydicom

    files = sorted(folder.glob("*.dcm"))
    if not files:
        raise ImageError(f"Expected series {folder.name} to hold instances, got none. Look at it in the PACS.")
    try:
        return sorted((pydicom.dcmread(file, stop_before_pixels=True) for file in files), key=_place)
    # pydicom has many exceptions for damaged files, down to struct.error and AttributeError.
    except Exception as error:
        raise ImageError(
            f"Expected the instances of series {folder.name} to be readable, got {type(error).__name__} when they were "
            "read. Send the series to the PACS again."
        ) from error


def read_series(folder: Path) -> SeriesImage:
    """Read a series: instances of one frame as its frames, or one multi-frame instance as a clip.

    Args:
        folder: holds `.dcm` files of one series and nothing else.

    Raises:
        ImageError: an instance cannot be read or decoded; they differ in size; several of them are multi-frame.
    """
    headers = read_series_headers(folder)
    files = [Path(str(header.filename)) for header in headers]
    check_pixels(f"series {folder.name}", sum(claimed_pixels(file) for file in files))
    frames = [read_instance(file, folder.name, lambda path: read_dicom(path)[0]) for file in files]
    shapes = sorted({frame.shape for frame in frames})
    if len(shapes) > 1 or (len(frames) > 1 and len(shapes[0]) > 2):
        raise ImageError(
            f"Expected the instances of series {folder.name} to be one frame or one clip of one size, got "
            f"{len(frames)} instances of {', '.join(' x '.join(map(str, shape)) for shape in shapes)} pixels. "
            "Take the frames that you need out of it with `cli.py import`."
        )
    stack = frames[0].reshape(*shapes[0][:2], -1) if len(frames) == 1 else np.stack(frames, axis=2)
    calibration = series_calibration(headers)
    return SeriesImage(smallest_type(stack), _affine(headers, calibration), calibration)


def read_instance(file: Path, series: str, read: Callable[[Path], NDArray[np.float32]]) -> NDArray[np.float32]:
    """The pixels of one instance of a series, if it claims no more than it may.

    Raises:
        ImageError: it claims more, or `read` fails.
    """
    try:
        check_claim(file, "dicom")
        return read(file)
    except ImageError as error:
        raise ImageError(f"Series {series}: {error}") from error
    except Exception as error:
        raise ImageError(
            f"Expected the pixels of series {series} to be readable, got {type(error).__name__} when they were read. "
            "Send the series to the PACS again."
        ) from error


def smallest_type(stack: NDArray[np.float32]) -> NDArray[Any]:
    """The same values as uint8 or int16 where these hold them."""
    low, high = float(stack.min()), float(stack.max())
    for kind in (np.uint8, np.int16):
        limits = np.iinfo(kind)
        if limits.min <= low and high <= limits.max and np.array_equal(stack, np.rint(stack)):
            return stack.astype(kind)
    return stack


def _place(header: "pydicom.FileDataset") -> tuple[float, float, str]:
    axes, position = _axes(header), _numbers(header, "ImagePositionPatient", 3)
    along = 0.0 if axes is None or position is None else float(np.dot(np.cross(*axes), position))
    # Positions are decimal strings of limited precision: rounding keeps equal ones equal.
    return round(along, 4), float(header.get("InstanceNumber") or 0), str(header.get("SOPInstanceUID", ""))


def _affine(headers: "Sequence[pydicom.FileDataset]", calibration: Calibration) -> NDArray[np.float64]:
    first, last = headers[0], headers[-1]
    axes, start = _axes(first), _numbers(first, "ImagePositionPatient", 3)
    dx, dy = calibration.spacing_mm or (1.0, 1.0)
    affine = np.eye(4)
    if axes is None or start is None:
        affine[0, 0], affine[1, 1] = dx, dy
        return affine
    end = _numbers(last, "ImagePositionPatient", 3)
    normal = np.cross(*axes)
    # Along the normal alone: viewers refuse a sheared volume, and stills need not lie above each other.
    step = 0.0 if end is None or len(headers) < 2 else float(np.dot(normal, end - start)) / (len(headers) - 1)
    columns = np.stack([axes[0] * dx, axes[1] * dy, normal * (step or 1.0)], axis=1)
    affine[:3, :3], affine[:3, 3] = _LPS_TO_RAS @ columns, _LPS_TO_RAS @ start
    return affine


def _axes(header: "pydicom.FileDataset") -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
    directions = _numbers(header, "ImageOrientationPatient", 6)
    if directions is None:
        return None
    across, down = directions[:3], directions[3:]
    square = np.array([across @ across, down @ down, 1.0 + across @ down])
    return (across, down) if np.allclose(square, 1.0, atol=_RIGHT_ANGLE) else None


def _numbers(header: Any, keyword: str, count: int) -> NDArray[np.float64] | None:  # noqa: ANN401 - pydicom's
    """The values of an element, or None when it is absent, empty or malformed."""
    try:
        values = np.array([float(value) for value in header.get(keyword) or ()])
    except (TypeError, ValueError):
        return None
    return values if values.size == count and np.isfinite(values).all() else None
