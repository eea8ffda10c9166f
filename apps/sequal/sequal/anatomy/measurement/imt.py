"""Intima-media thickness: in millimetres where the image is calibrated, else in pixels and flagged."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, Literal, Self

import numpy as np
from numpy.typing import NDArray

from sequal.anatomy.measurement.boundaries import Boundaries
from sequal.anatomy.measurement.polyline import distances_to_polyline
from sequal.errors import MeasurementError
from sequal.files.imaging.calibration import Calibration, not_calibrated

__all__ = ["PLAQUE_MM", "SHORTEST_LENGTH_MM", "Flag", "ImtMeasurement", "measure_imt"]

#: Mannheim consensus (2004-2006-2011): measure over at least 10 mm; thicker than 1.5 mm counts as plaque.
SHORTEST_LENGTH_MM: Final = 10.0
PLAQUE_MM: Final = 1.5

Flag = Literal["no_layer", "several_pieces", "outside_region", "not_calibrated", "short_length", "possible_plaque"]


@dataclass(frozen=True)
class ImtMeasurement:
    """Thickness of the layer in one frame; lengths in millimetres when calibrated, else in pixels.

    Attributes:
        mean: Mean over the measured columns of the vertical distance LI to MA; `None` without a layer, as
            all below.
        max: Plain maximum over the columns.
        sd: Standard deviation over the columns (n - 1); `None` for fewer than two.
        polyline_mean: Polyline Distance Metric, which does not grow where the wall is tilted.
        length: Measured columns times the lateral pixel size; gaps do not count.
        columns: Number of measured columns.
        calibration: Size of a pixel and its source.
        flags: What the reader must know before using the figures. `several_pieces`: something is drawn beside
            the layer's own piece, whose thickness alone this is, in more than one column and in more than 2 % of the
            number measured. `outside_region`: columns lie outside the part of the frame for which the calibration
            holds; they are left out, or all are measured in pixels where none is left.
    """

    mean: float | None
    max: float | None
    sd: float | None
    polyline_mean: float | None
    length: float | None
    columns: int
    calibration: Calibration
    flags: tuple[Flag, ...]

    @property
    def unit(self) -> Literal["mm", "px"]:
        """Unit of the lengths."""
        return "mm" if self.calibration.calibrated else "px"

    @classmethod
    def from_params(cls, params: Mapping[str, Any], calibration: Calibration) -> Self:
        """What `as_params` said, on the other side of a connection.

        Args:
            params: as `as_params` gives them.
            calibration: of the same image; it counts where the thickness is in millimetres.

        Raises:
            MeasurementError: they are no measurement.

        >>> found = measure_imt(Boundaries(np.full(9, 1.0), np.full(9, 3.0)), Calibration((0.1, 0.1), "given"))
        >>> ImtMeasurement.from_params(found.as_params(), found.calibration) == found
        True
        """
        try:
            calibrated = bool(params["calibrated"])
            unit = "mm" if calibrated else "px"
            return cls(
                **{name: params[f"{name}_{unit}"] for name in ("mean", "max", "sd", "polyline_mean", "length")},
                columns=int(params["columns"]),
                calibration=calibration if calibrated else Calibration(None, str(params["calibration_source"])),
                flags=tuple(params["flags"]),
            )
        except (LookupError, TypeError, ValueError) as error:
            raise MeasurementError(
                f"Expected a measurement with `mean_mm` or `mean_px`, got {dict(params)!r}. "
                "Is the server of this version?"
            ) from error

    def as_params(self) -> dict[str, Any]:
        """JSON-ready form for the server's reply; the keys carry the unit (`mean_mm` or `mean_px`).

        >>> nothing = Boundaries(np.full(3, np.nan), np.full(3, np.nan))
        >>> measure_imt(nothing, Calibration(None, "none")).as_params()["flags"]
        ['no_layer', 'not_calibrated']
        """
        lengths = {
            "mean": self.mean,
            "max": self.max,
            "sd": self.sd,
            "length": self.length,
            "polyline_mean": self.polyline_mean,
        }
        return {
            **{f"{name}_{self.unit}": value for name, value in lengths.items()},
            "columns": self.columns,
            "calibrated": self.calibration.calibrated,
            "calibration_source": self.calibration.source,
            "flags": list(self.flags),
        }


def measure_imt(boundaries: Boundaries, calibration: Calibration) -> ImtMeasurement:
    """Measure the thickness between two boundaries.

    Args:
        boundaries: LI and MA in pixels; columns where one of them is NaN are not measured.
        calibration: Size of a pixel, which may differ in the two directions; without it lengths are pixels.

    Returns:
        The measurement. Without any column, `columns` is 0, every length `None`, and the flag `no_layer` is
        set.

    >>> flat = Boundaries(np.full(200, 10.0), np.full(200, 20.0))
    >>> found = measure_imt(flat, Calibration((0.1, 0.06), "nifti spacing"))
    >>> round(found.mean, 3), round(found.length, 3), found.flags
    (0.6, 20.0, ())
    """
    boundaries, calibration, outside = _calibrated_part(boundaries, calibration)
    dx, dy = calibration.spacing_mm or (1.0, 1.0)
    columns = np.flatnonzero(boundaries.measured)
    if not columns.size:
        return ImtMeasurement(None, None, None, None, None, 0, calibration, _flags(calibration, None, None))
    thickness = (boundaries.ma[columns] - boundaries.li[columns]) * dy
    length, thickest = columns.size * dx, float(thickness.max())
    return ImtMeasurement(
        mean=float(thickness.mean()),
        max=thickest,
        sd=float(thickness.std(ddof=1)) if columns.size > 1 else None,
        polyline_mean=_polyline_mean(boundaries, columns, dx, dy),
        length=length,
        columns=int(columns.size),
        calibration=calibration,
        flags=(*outside, *_flags(calibration, length, thickest, several_pieces=boundaries.several_pieces)),
    )


def _calibrated_part(
    boundaries: Boundaries, calibration: Calibration
) -> tuple[Boundaries, Calibration, tuple[Flag, ...]]:
    """What may be measured in millimetres: a scale holds in its ultrasound region alone."""
    if calibration.region is None or not calibration.calibrated:
        return boundaries, calibration, ()
    x0, y0, x1, y1 = calibration.region
    columns, measured = np.arange(boundaries.li.size), boundaries.measured
    with np.errstate(invalid="ignore"):
        # Half a pixel outside the centres of its first and last row.
        inside = (columns >= x0) & (columns < x1) & (boundaries.li >= y0 - 0.5) & (boundaries.ma <= y1 - 0.5)
    if (inside == measured).all():
        return boundaries, calibration, ()
    if not inside.any():
        reason = "the wall lies outside the ultrasound region that has a scale"
        return boundaries, not_calibrated(reason), ("outside_region",)
    li, ma = (np.where(inside, depth, np.nan) for depth in (boundaries.li, boundaries.ma))
    return replace(boundaries, li=li, ma=ma), calibration, ("outside_region",)


def _flags(
    calibration: Calibration, length: float | None, thickest: float | None, *, several_pieces: bool = False
) -> tuple[Flag, ...]:
    flags: list[Flag] = ["several_pieces"] if several_pieces else []
    if length is None or thickest is None:
        flags.append("no_layer")
    if not calibration.calibrated:
        return (*flags, "not_calibrated")
    if length is not None and length < SHORTEST_LENGTH_MM:
        flags.append("short_length")
    if thickest is not None and thickest > PLAQUE_MM:
        flags.append("possible_plaque")
    return tuple(flags)


def _polyline_mean(boundaries: Boundaries, columns: NDArray[np.intp], dx: float, dy: float) -> float:
    """Polyline Distance Metric over stretches of neighbouring columns: no segment bridges a gap."""
    distances = []
    for stretch in np.split(columns, np.flatnonzero(np.diff(columns) > 1) + 1):
        li, ma = (np.column_stack((stretch * dx, depth[stretch] * dy)) for depth in (boundaries.li, boundaries.ma))
        distances += [distances_to_polyline(li, ma), distances_to_polyline(ma, li)]
    return float(np.concatenate(distances).mean())
