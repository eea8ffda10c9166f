"""Open curves as a file that 3D Slicer loads: markups, schema 1.0.3.

The schema is `Modules/Loadable/Markups/Resources/Schema/markups-schema-v1.0.3.json` of 3D Slicer. Slicer reads the
name of a curve, the positions and descriptions of its control points, its measurements and its colour.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

__all__ = ["MARKUPS_SUFFIX", "Curve", "curve_markups", "to_lps", "write_markups"]

#: What Slicer itself writes, so that a kept file opens as markups.
MARKUPS_SUFFIX: Final = ".mrk.json"
#: Slicer compares this name, it does not fetch it; since its branch was renamed nothing is at the address.
_SCHEMA: Final = (
    "https://raw.githubusercontent.com/slicer/slicer/master/Modules/Loadable/Markups/Resources/Schema/"
    "markups-schema-v1.0.3.json#"
)
#: NIfTI and nibabel count in RAS; Slicer's files count in LPS, as DICOM does.
_RAS_TO_LPS: Final = np.array([-1.0, -1.0, 1.0])


@dataclass(frozen=True, eq=False)
class Curve:
    """One open curve.

    Attributes:
        name: What Slicer lists it by.
        points: Float64 `(N, 3)`, pixels of the image (centre of the first pixel is 0, 0, 0); N may be 0.
        description: Of the whole curve.
        notes: Description of every point, N of them.
        colour: Red, green, blue, 0 to 1.
        measurements: Value and unit by name, shown beside the curve.
    """

    name: str
    points: NDArray[np.float64]
    description: str
    notes: Sequence[str]
    colour: tuple[float, float, float]
    measurements: dict[str, tuple[float, str]] = field(default_factory=dict)


def to_lps(points: NDArray[np.float64], affine: NDArray[np.float64]) -> NDArray[np.float64]:
    """Physical coordinates of pixels.

    Args:
        points: `(N, 3)`, pixels.
        affine: `(4, 4)`, pixel to RAS millimetres, as `Frame.affine`.

    Returns:
        Float64 `(N, 3)`, LPS millimetres.

    >>> to_lps(np.array([[1.0, 2.0, 3.0]]), np.diag([0.5, 0.5, 1.0, 1.0])).tolist()
    [[-0.5, -1.0, 3.0]]
    """
    return (points @ affine[:3, :3].T + affine[:3, 3]) * _RAS_TO_LPS


def curve_markups(curves: Sequence[Curve], affine: NDArray[np.float64]) -> dict[str, Any]:
    """The content of a markups file.

    Args:
        curves: Any number; one without points appears in Slicer with its name alone.
        affine: `(4, 4)`, pixel to RAS millimetres.

    Returns:
        JSON-ready, coordinates in LPS. The unit of coordinates is millimetres as the affine has them, also for an
        image that is not calibrated: Slicer shows such an image with pixels of 1 mm and knows no pixels.
    """
    return {"@schema": _SCHEMA, "markups": [_markup(curve, to_lps(curve.points, affine)) for curve in curves]}


def write_markups(path: Path, markups: dict[str, Any]) -> None:
    """Write a markups file.

    Args:
        path: Ends in `.json`.
        markups: As `curve_markups` gives it.

    Raises:
        OSError: It cannot be written.
        ValueError: A coordinate is not finite; JSON cannot hold it.
    """
    path.write_text(json.dumps(markups, indent=1, allow_nan=False) + "\n", encoding="utf-8")


def _markup(curve: Curve, positions: NDArray[np.float64]) -> dict[str, Any]:
    return {
        "type": "Curve",
        "name": curve.name,
        "description": curve.description,
        "coordinateSystem": "LPS",
        "coordinateUnits": "mm",
        "locked": False,
        "fixedNumberOfControlPoints": False,
        "labelFormat": "%N-%d",
        "controlPoints": [
            {
                "id": str(number),
                "label": f"{curve.name}-{number}",
                "description": note,
                "position": [float(value) for value in position],
                "selected": True,
                "locked": False,
                "visibility": True,
                "positionStatus": "defined",
            }
            for number, (position, note) in enumerate(zip(positions, curve.notes, strict=True), start=1)
        ],
        "measurements": [
            {"name": name, "enabled": True, "value": value, "units": unit, "printFormat": "%.2f %s"}
            for name, (value, unit) in curve.measurements.items()
        ],
        "display": {
            "visibility": True,
            "color": list(curve.colour),
            "selectedColor": list(curve.colour),
            "pointLabelsVisibility": False,
            "propertiesLabelVisibility": True,
            "glyphType": "Circle2D",
            "glyphScale": 1.0,
            "lineThickness": 0.3,
        },
    }
