"""How many millimetres a pixel of a DICOM image is: by ultrasound regions and PixelSpacing, where they can be believed.

Every judgement is of one instance. Stills of one series may have been taken at different zooms, and a picture may hold
two regions with two scales; such images are not calibrated, and the reason says so.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from sequal.files.imaging.calibration import (
    NOT_CALIBRATED,
    Calibration,
    Region,
    calibrate,
    contradiction,
    not_calibrated,
    same_scale,
)
from sequal.files.imaging.ultrasound_region import is_measured_otherwise, is_over_time, region_scale, shows_tissue

__all__ = ["dicom_calibration", "series_calibration"]

_SECONDARY_CAPTURE: Final = "1.2.840.10008.5.1.4.1.1.7"
_SPATIAL_RESAMPLING: Final = "113085"  # DICOM PS3.16 CID 7203
_RESAMPLED: Final = re.compile(r"re-?sampl|re-?siz|(up|down|sub)-?sampl|interpolat", re.IGNORECASE)
#: What viewers need where there is no PixelSpacing; it says nothing.
_PLACEHOLDER: Final = (1.0, 1.0)
#: Some scanners give the first column or row beyond the region, not its last.
_BEYOND_PX: Final = 1

_Scale = tuple[float, float]


@dataclass(frozen=True)
class _Scaled:
    """A region of tissue with its scale."""

    scale_mm: _Scale
    bounds: Region


class _NotToBeBelieved(Exception):  # noqa: N818 - ends the search for a scale, is no error
    """Why no scale of this image counts."""


def dicom_calibration(dataset: Any, part: Region | None = None) -> Calibration:  # noqa: ANN401
    """Size of a pixel of one instance: by its ultrasound regions in centimetres, else by PixelSpacing.

    Args:
        dataset: pydicom's dataset.
        part: Of the picture, to be judged alone: regions elsewhere do not count; None: all of it.

    Returns:
        The judged calibration; source `"dicom ultrasound regions"` or `"dicom PixelSpacing"`. A region that does not
        cover the picture calibrates nothing outside. None, with the reason, where two statements of the file contradict
        each other, where a region does not fit the picture (it was resampled or cropped), where frames have spacings of
        their own, and where a copy carries what was true of its original. PixelSpacing does not count for a picture
        whose regions are M-mode or spectral Doppler alone. A file that states nothing has the source `"none"`.
    """
    try:
        return _judged(dataset, part)
    except _NotToBeBelieved as reason:
        return not_calibrated(str(reason))
    # Scanners write what they like where a number should stand.
    except (TypeError, ValueError, OverflowError, AttributeError) as error:
        return not_calibrated(f"its scale cannot be read, {type(error).__name__}")


def series_calibration(instances: Sequence[Any]) -> Calibration:
    """The calibration that all instances of a series share; none, with the reason, where they do not.

    Args:
        instances: pydicom's datasets, at least one.
    """
    found = [dicom_calibration(instance) for instance in instances]
    first = found[0]
    for number, other in enumerate(found[1:], start=2):
        if first.spacing_mm is None or other.spacing_mm is None:
            if first.spacing_mm == other.spacing_mm and first.source == other.source:
                continue
            one, two = (calibration.source for calibration in (first, other))
            return not_calibrated(f"instances 1 and {number} of the series differ: {one}; {two}")
        if not same_scale(first.spacing_mm, other.spacing_mm):
            one, two = (_text(scale) for scale in (first.spacing_mm, other.spacing_mm))
            return not_calibrated(f"instances 1 and {number} of the series differ: {one} and {two} mm")
    regions = [calibration.region for calibration in found if calibration.region is not None]
    return replace(first, region=_common(regions)) if regions else first


def _judged(dataset: Any, part: Region | None) -> Calibration:  # noqa: ANN401
    regions, why_none = _region_scales(dataset, part)
    spacing, copied = _pixel_spacing(dataset), _why_copied(dataset)
    if regions:
        scale = regions[0].scale_mm
        for other in regions[1:]:
            if not same_scale(scale, other.scale_mm):
                raise _NotToBeBelieved(f"regions of two scales: {_text(scale)} and {_text(other.scale_mm)} mm")
        spacing = None if spacing == _PLACEHOLDER else spacing
        if spacing is not None and (against := contradiction("regions", scale, "PixelSpacing", spacing)):
            return against
        if copied and spacing is None:
            raise _NotToBeBelieved(copied)
        _check_aspect(dataset, scale)
        found = calibrate(*scale, "dicom ultrasound regions")
        return replace(found, region=_covered(regions, dataset)) if found.calibrated else found
    if spacing is None:
        return not_calibrated(why_none) if why_none else NOT_CALIBRATED
    if copied and not dataset.get("PixelSpacingCalibrationType"):
        raise _NotToBeBelieved(copied)
    _check_aspect(dataset, spacing)
    return calibrate(*spacing, "dicom PixelSpacing")


def _region_scales(dataset: Any, part: Region | None) -> tuple[list[_Scaled], str]:  # noqa: ANN401
    """The regions of tissue with a scale that reach into the part; and why the first of the others has none.

    Raises:
        _NotToBeBelieved: A region of tissue has another unit, or M-mode and spectra are all that the picture shows.
    """
    regions = list(dataset.get("SequenceOfUltrasoundRegions") or [])
    tissue = [region for region in regions if shows_tissue(region)]
    if not tissue:
        for region in filter(is_over_time, regions):
            raise _NotToBeBelieved(region_scale(region)[1])
        return [], region_scale(regions[0])[1] if regions else ""
    here = [region for region in tissue if part is None or _meet(_bounds(region, dataset), part)]
    found, reasons = [], [] if here else ["the ultrasound regions lie elsewhere in the picture"]
    for region in here:
        scale_mm, reason = region_scale(region)
        if is_measured_otherwise(region):
            raise _NotToBeBelieved(reason)
        if scale_mm is None:
            reasons.append(reason)
        else:
            found.append(_Scaled(scale_mm, _bounds(region, dataset)))
    return found, next(iter(reasons), "")


def _bounds(region: Any, dataset: Any) -> Region:  # noqa: ANN401
    corners = [region.get(f"RegionLocation{corner}") for corner in ("MinX0", "MinY0", "MaxX1", "MaxY1")]
    if any(corner is None for corner in corners):
        raise _NotToBeBelieved("an ultrasound region does not say where it lies")
    x0, y0, x1, y1 = (int(corner) for corner in corners)
    if x1 < x0 or y1 < y0:
        raise _NotToBeBelieved("an ultrasound region has no area")
    columns, rows = int(dataset.get("Columns") or x1 + 1), int(dataset.get("Rows") or y1 + 1)
    if x0 < 0 or y0 < 0 or x1 + 1 > columns + _BEYOND_PX or y1 + 1 > rows + _BEYOND_PX:
        raise _NotToBeBelieved("an ultrasound region exceeds the picture, which was resampled or cropped")
    return x0, y0, min(x1 + 1, columns), min(y1 + 1, rows)


def _meet(one: Region, other: Region) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def _covered(regions: Sequence[_Scaled], dataset: Any) -> Region | None:  # noqa: ANN401
    """The box of all regions; `None` when it is the picture."""
    columns, rows = int(dataset.get("Columns") or 0), int(dataset.get("Rows") or 0)
    if not columns or not rows:
        return None
    x0, y0 = (min(region.bounds[side] for region in regions) for side in (0, 1))
    x1, y1 = (max(region.bounds[side] for region in regions) for side in (2, 3))
    return None if (x0, y0, x1, y1) == (0, 0, columns, rows) else (x0, y0, x1, y1)


def _common(regions: Sequence[Region]) -> Region:
    """What all regions have in common; nothing where they have nothing."""
    x0, y0 = (max(region[side] for region in regions) for side in (0, 1))
    x1, y1 = (min(region[side] for region in regions) for side in (2, 3))
    return x0, y0, max(x0, x1), max(y0, y1)


def _pixel_spacing(dataset: Any) -> _Scale | None:  # noqa: ANN401
    """PixelSpacing as (dx, dy) in mm, of the image and of its frames."""
    holders = [dataset]
    for groups in ("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"):
        for group in dataset.get(groups) or []:
            holders.extend(group.get("PixelMeasuresSequence") or [])
    found: _Scale | None = None
    for holder in holders:
        spacing = holder.get("PixelSpacing")
        if spacing is None or not hasattr(spacing, "__len__") or len(spacing) != 2:
            continue
        scale = float(spacing[1]), float(spacing[0])  # between columns, between rows
        if found is not None and not same_scale(found, scale):
            raise _NotToBeBelieved(f"frames of two spacings: {_text(found)} and {_text(scale)} mm")
        found = found or scale
    return found


def _why_copied(dataset: Any) -> str:  # noqa: ANN401
    """Why the picture may have other pixels than the one that was measured; empty where nothing says so."""
    codes = [str(code.get("CodeValue", "")) for code in dataset.get("DerivationCodeSequence") or []]
    kinds = [str(value).upper() for value in dataset.get("ImageType") or []]
    described = _RESAMPLED.search(str(dataset.get("DerivationDescription") or ""))
    if _SPATIAL_RESAMPLING in codes or "RESAMPLED" in kinds or described:
        return "the picture was resampled, and its scale may be that of its original"
    if str(dataset.get("SOPClassUID") or "").startswith(_SECONDARY_CAPTURE):
        return "a secondary capture, whose scale may be that of its original"
    return ""


def _check_aspect(dataset: Any, scale: _Scale) -> None:  # noqa: ANN401
    """PixelAspectRatio is the height of a pixel to its width."""
    ratio = dataset.get("PixelAspectRatio")
    if ratio is None or not hasattr(ratio, "__len__") or len(ratio) != 2 or not all(float(part) for part in ratio):
        return
    stated = float(ratio[0]) / float(ratio[1])
    if not scale[0] or not same_scale((scale[1] / scale[0], 1.0), (stated, 1.0)):
        raise _NotToBeBelieved(f"PixelAspectRatio {ratio[0]}:{ratio[1]} and a scale of {_text(scale)} mm")


def _text(scale: _Scale) -> str:
    dx, dy = scale
    return f"{dx:.4g}" if same_scale((dx, dx), scale) else f"{dx:.4g} x {dy:.4g}"
