"""NRRD images and labels, read with pynrrd: axes, affine and spacing."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from sequal.errors import ImageError
from sequal.files.imaging.calibration import NOT_CALIBRATED, Calibration, calibrate, contradiction, not_calibrated
from sequal.files.imaging.contents import Contents
from sequal.files.imaging.frame import to_luma
from sequal.files.imaging.layout import slice_layout
from sequal.files.imaging.placement import Placement, is_usable, itk_affine, straightened
from sequal.files.imaging.segments import merge_segments, nothing_drawn, place_segments, segments_of
from sequal.labels import LABEL_NAMES

__all__ = ["names_segments", "read_nrrd", "read_nrrd_label"]

#: Kinds of an axis that runs over the channels of a pixel, in lower case.
_COLOUR_KINDS: Final = ("rgb-color", "rgba-color", "3-color", "4-color")
_VECTOR_KINDS: Final = ("vector", "3-vector", "4-vector", "covariant-vector")
#: Colours whose channels are no red, green and blue.
_OTHER_COLOURS: Final = ("hsv-color", "xyz-color")
_LIST_KINDS: Final = ("list", "time")
_CHANNELS: Final = (3, 4)
_UNIT_MM: Final = {"mm": 1.0, "cm": 10.0, "m": 1000.0, "um": 0.001, "": 1.0}
#: Signs that turn a coordinate of the named space into RAS; without a name the axes are DICOM's, as ITK has it.
_TO_RAS: Final = {
    "right-anterior-superior": (1.0, 1.0, 1.0),
    "ras": (1.0, 1.0, 1.0),
    "left-anterior-superior": (-1.0, 1.0, 1.0),
    "las": (-1.0, 1.0, 1.0),
}
_LPS: Final = (-1.0, -1.0, 1.0)


def read_nrrd(path: Path) -> Contents:
    """Read an image: a colour axis becomes luma, a list axis (a Slicer sequence) becomes the last one.

    Args:
        path: `.nrrd`.

    Returns:
        What is in the file; its place is what ITK reads.

    Raises:
        ImageError: pynrrd is missing, the colours are none that the app knows, or the header gives no usable place.
        Exception: Whatever pynrrd raises on a damaged file.
    """
    array, header = _nrrd().read(str(path))
    kinds = _kinds(header, array.shape, path.name)
    domain = [axis for axis, kind in enumerate(kinds) if kind == "domain"]
    colour, frames = (kinds.index(kind) if kind in kinds else None for kind in ("colour", "list"))
    order = [*domain, *(axis for axis in (frames, colour) if axis is not None)]
    array = array.transpose(order)
    if colour is not None:
        array = to_luma(array)
    layout = slice_layout(array.shape)
    bare = header.get("space directions") is None and header.get("spacings") is None
    affine = None if bare and colour is not None else itk_affine(path, "nrrd", array.shape, colour=colour is not None)
    if affine is None:
        affine = _affine(header, domain)
    if not is_usable(affine):
        raise ImageError(
            f"Expected the header of `{path.name}` to give every pixel a place of its own, got space directions "
            "without extent along an axis, or an origin kilometres away. Correct them, or export the image again."
        )
    straightened(affine, path.name)  # a small shear may stay, as ITK and viewers let it
    return Contents(array, Placement(affine), _calibration(header, domain, layout.axes[:2]), layout)


def names_segments(path: Path) -> bool:
    """Whether a label file is a Slicer segmentation, which names its segments; other kinds of files never do.

    Args:
        path: of a label that can be read.
    """
    if path.suffix.lower() != ".nrrd":
        return False
    return any(segment.name.strip() for segment in segments_of(_nrrd().read_header(str(path))))


def read_nrrd_label(
    path: Path, frame_shape: Sequence[int], labels: Mapping[str, int] = LABEL_NAMES
) -> tuple[NDArray[Any], bool]:
    """Read a label; the segments of a Slicer segmentation are merged into one array of classes.

    Args:
        path: `.nrrd` or `.seg.nrrd`.
        frame_shape: Of the image, for a segmentation whose box is not the image's.
        labels: Number of each label of the model by its name.

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
    merged = merge_segments(array if layered else array[np.newaxis], segments, labels)
    return place_segments(merged, header, frame_shape), True


def _is_segmentation(path: Path, header: Mapping[str, Any]) -> bool:
    """Whether 3D Slicer wrote a segmentation, which may have no segment."""
    return path.name.lower().endswith(".seg.nrrd") or any(key.startswith("Segmentation_") for key in header)


def _kinds(header: Mapping[str, Any], shape: Sequence[int], name: str) -> list[str]:
    """For each axis of the file `"domain"`, `"colour"` or `"list"`, in whichever way its header says so."""
    given = [str(kind).lower() for kind in header.get("kinds", [])] or [""] * len(shape)
    if any(kind in _OTHER_COLOURS for kind in given):
        raise ImageError(f"Expected the colours of `{name}` to be red, green and blue, got {given}. Save it as grey.")
    placeless = [row is None for row in _rows(header, "space directions") or _rows(header, "spacings")]
    unnamed = all(kind in ("", "none", "???") for kind in given) and not any(placeless)
    kinds = []
    for axis, (kind, length) in enumerate(zip(given, shape, strict=True)):
        # Writers that name no kinds put the channels first, where no picture is 3 or 4 pixels wide.
        channels = length in _CHANNELS and (
            kind in _COLOUR_KINDS
            or kind in _VECTOR_KINDS
            or (kind not in _LIST_KINDS and axis < len(placeless) and placeless[axis])
            or (unnamed and axis == 0 and len(shape) > 2 and max(_CHANNELS) < min(shape[1:3]))
        )
        beyond = kind in (*_LIST_KINDS, *_VECTOR_KINDS)
        if not beyond and not channels and axis < len(placeless) and placeless[axis]:
            raise ImageError(
                f"Expected the header of `{name}` to say what runs along each axis, got neither a length nor a kind "
                f"for axis {axis + 1}: viewers exchange the axes of such a file. Save it again, for example as NIfTI."
            )
        kinds.append("colour" if channels and "colour" not in kinds else "list" if beyond else "domain")
    return kinds


def _rows(header: Mapping[str, Any], field: str) -> list[NDArray[np.float64] | None]:
    """One entry an axis of a field of the header, `None` where it says nothing of the axis."""
    given = header.get(field)
    rows = [] if given is None else [None if row is None else np.atleast_1d(np.asarray(row, float)) for row in given]
    return [None if row is None or np.isnan(row).all() else row for row in rows]


def _affine(header: Mapping[str, Any], domain: Sequence[int]) -> NDArray[np.float64]:
    """Index to RAS of the spatial axes, `(4, 4)`, where ITK does not read the file."""
    affine = np.eye(4)
    for place, length in enumerate(_lengths(header, "spacings", domain)[:3]):
        affine[place, place] = length
    directions = _rows(header, "space directions")
    for place, axis in enumerate(domain[:3] if directions else []):
        row = directions[axis]
        if row is not None:
            affine[:3, place] = np.pad(row, (0, 3 - row.size))
    if (origin := header.get("space origin")) is not None:
        affine[: len(origin), 3] = np.nan_to_num(np.asarray(origin, dtype=np.float64))
    with np.errstate(invalid="ignore"):  # infinite times 0; no such matrix is used
        return np.diag([*_TO_RAS.get(str(header.get("space", "")).lower(), _LPS), 1.0]) @ affine


def _lengths(header: Mapping[str, Any], field: str, domain: Sequence[int]) -> list[float]:
    rows = _rows(header, field)
    found = [rows[axis] for axis in domain] if rows else []
    return [float(np.linalg.norm(row)) for row in found if row is not None]


def _calibration(header: Mapping[str, Any], domain: Sequence[int], axes: Sequence[int]) -> Calibration:
    """Size of a pixel from directions or spacings, whichever is there; none where both are and differ."""
    space_unit, *_ = header.get("space units") or [""]
    axis_units = header.get("units") or [""] * (max(domain) + 1)
    found = []
    for field, unit in (("space directions", space_unit), ("spacings", axis_units[domain[0]])):
        lengths = _lengths(header, field, domain)
        if len(lengths) <= max(axes):
            continue
        if str(unit).strip('"') not in _UNIT_MM:
            return not_calibrated(f"nrrd {field} in the unit {unit}")
        dx, dy = (round(lengths[axis] * _UNIT_MM[str(unit).strip('"')], 7) for axis in axes)
        found.append((dx, dy))
    if len(found) > 1 and (against := contradiction("nrrd directions", found[0], "spacings", found[1])):
        return against
    return calibrate(*found[0], "nrrd spacing") if found else NOT_CALIBRATED


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
