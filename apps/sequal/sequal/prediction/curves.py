"""A prediction as curves that a viewer can show and an annotator can read: LI and MA of every frame."""

from collections.abc import Iterator
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from sequal.anatomy.measurement import (
    Contour,
    ImtMeasurement,
    boundaries_from_probability,
    contours,
    measure_probability,
)
from sequal.files.imaging import Frame
from sequal.files.imaging.markups import Curve, curve_markups

__all__ = ["POINT_DISTANCE_MM", "contour_markups"]

#: Near enough for a wall that bends over centimetres, few enough to drag one by one.
POINT_DISTANCE_MM: Final = 0.5
#: Columns between points where nobody knows how wide a column is.
_POINT_DISTANCE_PX: Final = 8
_LI_COLOUR: Final = (0.2, 0.9, 1.0)
_MA_COLOUR: Final = (1.0, 0.75, 0.1)


def contour_markups(frame: Frame, probability: NDArray[np.float32]) -> dict[str, Any]:
    """LI and MA of every frame as the content of a 3D Slicer markups file.

    A clip gives two curves a frame, each in the plane of its frame, so that a viewer that steps through the slices
    shows those of the frame at hand. A boundary with a gap wider than the distance of the points is several curves.

    Args:
        frame: The image.
        probability: Float32 (W, H, F) in 0..1, of the layer in that image.

    Returns:
        JSON-ready. Thickness is in the description of every point (there) and of every curve (of its frame), and
        mean and maximum are measurements of the MA curve, in millimetres, or in pixels where the image is not
        calibrated. Without a layer in any frame there are two curves without points, named so: Slicer takes a file
        without curves for a broken one.
    """
    curves = [
        curve
        for index, imt in enumerate(measure_probability(probability, frame.calibration))
        for curve in _frame_curves(frame, probability[:, :, index], imt, index)
    ]
    return curve_markups(curves or _no_layer(), frame.affine)


def _frame_curves(frame: Frame, probability: NDArray[np.float32], imt: ImtMeasurement, index: int) -> Iterator[Curve]:
    spacing = frame.calibration.spacing_mm
    every = _POINT_DISTANCE_PX if spacing is None else max(1, round(POINT_DISTANCE_MM / spacing[0]))
    found = contours(boundaries_from_probability(probability), every)
    place = f" (frame {index + 1})" if frame.grid[2] > 1 else ""
    for number, contour in enumerate(found, start=1):
        part = f" {number}" if len(found) > 1 else ""
        notes = _notes(contour, imt)
        description = _summary(imt)
        yield Curve(f"LI{part}{place}", _points(contour, contour.li, index), description, notes, _LI_COLOUR)
        ma = _points(contour, contour.ma, index)
        # Once a frame is enough: the figures are of the whole frame.
        measurements = _measurements(imt) if number == 1 else {}
        yield Curve(f"MA{part}{place}", ma, description, notes, _MA_COLOUR, measurements)


def _points(contour: Contour, depth: NDArray[np.float64], index: int) -> NDArray[np.float64]:
    return np.column_stack((contour.columns, depth, np.full(depth.shape, float(index))))


def _notes(contour: Contour, imt: ImtMeasurement) -> list[str]:
    dy = (imt.calibration.spacing_mm or (1.0, 1.0))[1]
    return [f"thickness {thickness * dy:.2f} {imt.unit}" for thickness in contour.thickness]


def _summary(imt: ImtMeasurement) -> str:
    figures = "; ".join(f"{name} {value:.2f} {unit}" for name, (value, unit) in _measurements(imt).items())
    flags = f"; {', '.join(imt.flags).replace('_', ' ')}" if imt.flags else ""
    return f"{figures}; {imt.columns} columns{flags}"


def _measurements(imt: ImtMeasurement) -> dict[str, tuple[float, str]]:
    figures = {"IMT mean": imt.mean, "IMT max": imt.max}
    return {name: (value, imt.unit) for name, value in figures.items() if value is not None}


def _no_layer() -> list[Curve]:
    reason = "no intima-media layer found"
    return [
        Curve(f"{name}: {reason}", np.empty((0, 3)), reason, (), colour)
        for name, colour in (("LI", _LI_COLOUR), ("MA", _MA_COLOUR))
    ]
