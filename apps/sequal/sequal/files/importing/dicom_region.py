"""The part of a DICOM ultrasound image that shows tissue, without the header that scanners burn in."""

import logging
from typing import Any, Final

from sequal.files.imaging.ultrasound_region import region_scale, shows_tissue

__all__ = ["image_region", "left_out_regions"]

logger = logging.getLogger(__name__)

_TISSUE: Final = 1  # Region Data Type, DICOM PS3.3 C.8.5.5.1.2
_SMALLEST_PX: Final = 16


def image_region(dataset: Any) -> tuple[int, int, int, int] | None:  # noqa: ANN401
    """Bounds of the ultrasound region to keep: the one whose scale calibrates the image, else the largest.

    Among two-dimensional regions of tissue or flow those measured in centimetres come first, then tissue before others,
    then the largest; the order in which `sequal.files.imaging.dicom_calibration` takes the scale.

    Args:
        dataset: pydicom's dataset with Rows and Columns.

    Returns:
        (x0, y0, x1, y1), the last two exclusive, within the image; None when no such region of at least 16 pixels a
        side is described.
    """
    columns, rows = int(dataset.get("Columns") or 0), int(dataset.get("Rows") or 0)
    best: tuple[tuple[bool, bool, int], tuple[int, int, int, int]] | None = None
    for region in dataset.get("SequenceOfUltrasoundRegions") or []:
        if not shows_tissue(region):
            continue
        bounds = _bounds(region, columns, rows)
        if bounds is None:
            logger.warning("An ultrasound region without sensible bounds is left out.")
            continue
        x0, y0, x1, y1 = bounds
        scaled = region_scale(region)[0] is not None
        rank = (scaled, region.get("RegionDataType") == _TISSUE, (x1 - x0) * (y1 - y0))
        if best is None or rank > best[0]:
            best = rank, bounds
    return None if best is None else best[1]


def left_out_regions(dataset: Any, kept: tuple[int, int, int, int]) -> str:  # noqa: ANN401
    """A sentence that names the regions of tissue or flow outside the kept one; empty when there is none.

    Args:
        dataset: pydicom's dataset with Rows and Columns.
        kept: as `image_region` gives it.
    """
    columns, rows = int(dataset.get("Columns") or 0), int(dataset.get("Rows") or 0)
    others = []
    for region in dataset.get("SequenceOfUltrasoundRegions") or []:
        bounds = _bounds(region, columns, rows) if shows_tissue(region) else None
        if bounds is None or _inside(bounds, kept):
            continue
        x0, y0, x1, y1 = bounds
        others.append(f"{x1 - x0} x {y1 - y0} pixels at column {x0}, row {y0}")
    if not others:
        return ""
    x0, y0, x1, y1 = kept
    return (
        f"of several ultrasound regions the one of {x1 - x0} x {y1 - y0} pixels at column {x0}, row {y0} is kept; left "
        f"out: {'; '.join(others)}"
    )


def _inside(one: tuple[int, int, int, int], other: tuple[int, int, int, int]) -> bool:
    return one[0] >= other[0] and one[1] >= other[1] and one[2] <= other[2] and one[3] <= other[3]


def _bounds(region: Any, columns: int, rows: int) -> tuple[int, int, int, int] | None:  # noqa: ANN401
    corners = [region.get(f"RegionLocation{corner}") for corner in ("MinX0", "MinY0", "MaxX1", "MaxY1")]
    if any(corner is None for corner in corners):
        return None
    x0, y0, x1, y1 = (int(corner) for corner in corners)
    x0, y0, x1, y1 = max(x0, 0), max(y0, 0), min(x1 + 1, columns), min(y1 + 1, rows)
    return (x0, y0, x1, y1) if x1 - x0 >= _SMALLEST_PX and y1 - y0 >= _SMALLEST_PX else None
