"""What an ultrasound region of a DICOM image shows, and how large its pixels are."""

import math
from typing import Any, Final

__all__ = ["is_measured_otherwise", "is_over_time", "region_scale", "shows_tissue"]

# DICOM PS3.3 C.8.5.5.1.1, Region Spatial Format
_TWO_DIMENSIONAL: Final = 1
_FORMATS: Final = ("of no stated kind", "two-dimensional", "M-mode", "a spectrum", "a wave form", "graphics")
_OVER_TIME_FORMATS: Final = (2, 3)
# C.8.5.5.1.2, Region Data Type. A region may leave it open: the format says "tissue or flow" already.
_NOT_STATED: Final = (None, 0)
_TISSUE: Final = (1, 2, 15)  # tissue, its colour flow, its integrated backscatter
_OVER_TIME_TYPES: Final = (3, 4)
_TYPES: Final = (
    "nothing",
    "tissue",
    "colour flow",
    "PW spectral Doppler",
    "CW spectral Doppler",
    *("a Doppler trace",) * 3,  # mean, mode, maximum
    *("a trace of a volume",) * 2,  # and its change
    "an ECG",
    "a pulse trace",
    "a phonocardiogram",
    "a grey bar",
    "a colour bar",
    "integrated backscatter",
    *("a trace of an area",) * 2,  # and its change
    "a physiological trace",
)
_NO_UNIT, _CENTIMETRE = (None, 0), 3  # C.8.5.5.1.3, Physical Units X/Y Direction


def shows_tissue(region: Any) -> bool:  # noqa: ANN401
    """Whether both axes of a region are places in tissue: a two-dimensional region of tissue or of flow."""
    return not _why_no_tissue(region)


def is_over_time(region: Any) -> bool:  # noqa: ANN401
    """Whether a region is M-mode or spectral Doppler, whose columns are moments, not places."""
    return region.get("RegionSpatialFormat") in _OVER_TIME_FORMATS or region.get("RegionDataType") in _OVER_TIME_TYPES


def is_measured_otherwise(region: Any) -> bool:  # noqa: ANN401
    """Whether an axis of a region has another unit than centimetres."""
    return any(unit not in _NO_UNIT and unit != _CENTIMETRE for unit in _units(region))


def region_scale(region: Any) -> tuple[tuple[float, float] | None, str]:  # noqa: ANN401
    """Size of a pixel of a region of tissue that is measured in centimetres.

    Args:
        region: An item of pydicom's SequenceOfUltrasoundRegions.

    Returns:
        `(dx, dy)` in millimetres per pixel, both above 0, and an empty text; or None, and why there is no such size.

    >>> tissue = {"RegionSpatialFormat": 1, "RegionDataType": 1}
    >>> centimetres = {"PhysicalUnitsXDirection": 3, "PhysicalUnitsYDirection": 3}
    >>> region_scale(tissue | centimetres | {"PhysicalDeltaX": 0.01, "PhysicalDeltaY": -0.02})
    ((0.1, 0.2), '')
    >>> region_scale(tissue | centimetres | {"PhysicalDeltaX": 0.0, "PhysicalDeltaY": 0.01})[1]
    'an ultrasound region has PhysicalDeltaX 0, no size'
    >>> region_scale(centimetres | {"RegionSpatialFormat": 2, "RegionDataType": 1})[1]
    'an ultrasound region is M-mode (format 2)'
    """
    if reason := _why_no_tissue(region):
        return None, reason
    if is_measured_otherwise(region):
        return None, "an ultrasound region is in another unit than centimetres"
    for axis, unit in zip("XY", _units(region), strict=True):
        if unit != _CENTIMETRE:
            return None, f"an ultrasound region states no unit along {axis}"
    dx_cm, dy_cm = (_delta_cm(region, axis) for axis in "XY")
    for axis, delta in (("X", dx_cm), ("Y", dy_cm)):
        if isinstance(delta, str):
            return None, f"an ultrasound region has PhysicalDelta{axis} {delta}, no size"
    return (float(dx_cm) * 10.0, float(dy_cm) * 10.0), ""


def _why_no_tissue(region: Any) -> str:  # noqa: ANN401
    spatial, data = region.get("RegionSpatialFormat"), region.get("RegionDataType")
    if spatial != _TWO_DIMENSIONAL:
        return f"an ultrasound region is {_named(spatial, _FORMATS)} (format {spatial})"
    if data in _NOT_STATED or data in _TISSUE:
        return ""
    return f"an ultrasound region shows {_named(data, _TYPES)} (type {data})"


def _units(region: Any) -> tuple[Any, Any]:  # noqa: ANN401
    return region.get("PhysicalUnitsXDirection"), region.get("PhysicalUnitsYDirection")


def _delta_cm(region: Any, axis: str) -> float | str:  # noqa: ANN401
    """Size of a step in cm, above 0; or the words that stand in its place.

    A sign only says that the axis runs against the order of the pixels.
    """
    value = region.get(f"PhysicalDelta{axis}")
    try:
        size = abs(float(value))
    # Scanners write what they like where a number should stand.
    except (TypeError, ValueError, OverflowError):
        return "missing" if value is None else "that is no number"
    return size if math.isfinite(size) and size > 0.0 else f"{float(value):g}"


def _named(value: Any, names: tuple[str, ...]) -> str:  # noqa: ANN401
    return names[value] if isinstance(value, int) and 0 <= value < len(names) else "of an unknown kind"
