"""Boundaries as open curves: a few points on each, never across a gap."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sequal.anatomy.measurement.boundaries import Boundaries
from sequal.errors import MeasurementError

__all__ = ["Contour", "contours"]


@dataclass(frozen=True, eq=False)
class Contour:
    """Both boundaries over one uninterrupted stretch of columns.

    Attributes:
        columns: Int64 `(N,)`, ascending, N of at least 2.
        li: Lumen-intima, float64 `(N,)`, pixels (centre of the first row is 0).
        ma: Media-adventitia, the same.
    """

    columns: NDArray[np.int64]
    li: NDArray[np.float64]
    ma: NDArray[np.float64]

    @property
    def thickness(self) -> NDArray[np.float64]:
        """Distance LI to MA in every column, `(N,)`, pixels."""
        return self.ma - self.li


def contours(boundaries: Boundaries, every: int) -> tuple[Contour, ...]:
    """Pick points from two boundaries, as few as a person can edit.

    Every point lies on its boundary: columns are picked, nothing is averaged. A gap of fewer than `every`
    columns is passed over, because the picked points are as far apart; a wider one ends the curve.

    Args:
        boundaries: LI and MA.
        every: Distance of the points, columns; the first and the last column of a stretch are always there.

    Returns:
        The stretches from left to right; one of a single column is left out, as it is no curve. Empty without
        a layer.

    Raises:
        MeasurementError: `every` is below 1.

    >>> depth = np.array([4.0, 4.0, 4.0, 4.0, np.nan, np.nan, np.nan, 5.0, 5.0])
    >>> [found.columns.tolist() for found in contours(Boundaries(depth, depth + 9), every=2)]
    [[0, 2, 3], [7, 8]]
    """
    if every < 1:
        raise MeasurementError(
            f"Expected `every` to be at least 1 column, got {every}. Give the distance of the points."
        )
    measured = np.flatnonzero(boundaries.measured)
    stretches = np.split(measured, np.flatnonzero(np.diff(measured) > every) + 1)
    picked = [_pick(stretch, every) for stretch in stretches if stretch.size > 1]
    return tuple(Contour(columns, boundaries.li[columns], boundaries.ma[columns]) for columns in picked)


def _pick(columns: NDArray[np.int64], every: int) -> NDArray[np.int64]:
    """Columns of a stretch that are about `every` apart, with its ends."""
    wanted = np.arange(columns[0], columns[-1], every)
    nearest = columns[np.searchsorted(columns, wanted)]
    return np.unique(np.append(nearest, columns[-1]))
