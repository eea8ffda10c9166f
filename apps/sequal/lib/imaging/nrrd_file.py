"""NRRD images and labels, read with pynrrd: axes, affine and spacing."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from lib.errors import ImageError
from lib.imaging.calibration import NOT_CALIBRATED, Calibration, calibrate
from lib.imaging.frame import to_luma
from lib.imaging.segments import merge_segments, nothing_drawn, place_segments, segments_of

__all__ = ["read_nrrd", "read_nrrd_label"]

_COLOUR_KINDS: Final = ("RGB-color", "RGBA-color", "3-color", "4-color")
_UNIT_MM: Final = {"mm": 1.0, "cm": 10.0, "m": 1000.0, "um": 0.001}
#: Signs that turn a coordinate of the named space into RAS.
_TO_RAS: Final = {
    "left-posterior-superior": (-1.0, -1.0, 1.0),
    "lps": (-1.0, -1.0, 1.0),
    "left-anterior-superior": (-1.0, 1.0, 1.0),
    "las": (-1.0, 1.0, 1.0),
}


def read_nrrd(path: Path) -> tuple[NDArray[Any], NDArray[np.float64], Calibration]:
    """Read an image: a colour axis becomes luma, a list axis (a Slicer sequence) becomes the last one.

    Args:
        path: `.nrrd`.

    Returns:
        The array, its affine to RAS `(4, 4)` (identity when the header has no directions), and its
        calibration.

    Raises:
        ImageError: pynrrd is missing.
        Exception: Whatever pynrrd raises on a damaged file.
    """
    array, header = _nrrd().read(str(path))
    kinds = list(header.get("kinds", []))
    colour = next((axis for axis, kind in enumerate(kinds) if kind in _COLOUR_KINDS), None)
    if colour is not None:
        array = to_luma(np.moveaxis(array, colour, -1))
        kinds.pop(colour)
    if "list" in kinds:
        array = np.moveaxis(array, kinds.index("list"), -1)
    affine = _affine(header)
    if affine is None:
        return array, np.eye(4), NOT_CALIBRATED
    unit_mm = _UNIT_MM.get(str((header.get("space units") or ["mm"])[0]), 1.0)
    dx, dy = (round(float(np.linalg.norm(affine[:3, axis])) * unit_mm, 7) for axis in (0, 1))
    return array, affine, calibrate(dx, dy, "nrrd spacing")


def read_nrrd_label(path: Path, frame_shape: Sequence[int]) -> tuple[NDArray[Any], bool]:
    """Read a label; the segments of a Slicer segmentation are merged into one array of classes.

    Args:
        path: `.nrrd` or `.seg.nrrd`.
        frame_shape: Of the image, for a segmentation whose box is not the image's.

    Returns:
        The array of class values, without a layer axis, and whether the file names its segments.

    Raises:
        ImageError: pynrrd is missing.
        Exception: Whatever pynrrd raises on a damaged file.
    """
    array, header = _nrrd().read(str(path))
    segments = segments_of(header)
    if not array.any() and (segments or _is_segmentation(path, header)):
        return nothing_drawn(array.shape, frame_shape), True
    if not segments:
        return array, False
    layered = array.ndim == 4 and header.get("kinds", ["list"])[0] in ("list", "vector")
    merged = merge_segments(array if layered else array[np.newaxis], segments)
    return place_segments(merged, header, frame_shape), True


def _is_segmentation(path: Path, header: Mapping[str, Any]) -> bool:
    """Whether 3D Slicer wrote a segmentation, which may have no segment."""
    return path.name.lower().endswith(".seg.nrrd") or any(key.startswith("Segmentation_") for key in header)


def _affine(header: Mapping[str, Any]) -> NDArray[np.float64] | None:
    """Index to RAS of the spatial axes, `(4, 4)`; `None` without directions of at least two axes."""
    given = header.get("space directions")
    directions = [] if given is None else [np.asarray(row, dtype=np.float64) for row in given if row is not None]
    directions = [row for row in directions if np.isfinite(row).all()][:3]
    if len(directions) < 2:
        return None
    affine = np.eye(4)
    for axis, row in enumerate(directions):
        affine[:3, axis] = np.pad(row, (0, 3 - row.size))
    if (origin := header.get("space origin")) is not None:
        affine[: len(origin), 3] = np.nan_to_num(np.asarray(origin, dtype=np.float64))
    signs = _TO_RAS.get(str(header.get("space", "")).lower(), (1.0, 1.0, 1.0))
    return np.diag([*signs, 1.0]) @ affine


def _nrrd() -> ModuleType:
    """Import pynrrd on first use: studies without NRRD files do not need it."""
    try:
        import nrrd
    except ImportError as error:
        raise ImageError(
            "Expected `pynrrd` to be installed to read NRRD files, got none. "
            "Install it with `pip install pynrrd`, or save as NIfTI."
        ) from error
    module: ModuleType = nrrd
    return module
