"""Polyline Distance Metric between two boundaries (Suri et al. 2000)."""

from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from sequal.errors import MeasurementError

__all__ = ["distances_to_polyline", "polyline_distance"]

#: Points that are compared together with the segments near them.
_POINTS_AT_ONCE: Final = 32


def polyline_distance(li_xy: NDArray[np.float64], ma_xy: NDArray[np.float64]) -> float:
    """Mean distance between two polylines: (Σ_LI d(v, MA) + Σ_MA d(u, LI)) / (N_LI + N_MA).

    d is the distance of a vertex to the nearest segment of the other polyline; its foot is clamped to the
    segment. Unlike the vertical distance it does not grow where the wall is tilted.

    Args:
        li_xy: `(N, 2)` vertices in order, in one unit on both axes (millimetres when the pixel is not
            square).
        ma_xy: `(M, 2)`, the same.

    Returns:
        The distance, in the unit of the vertices.

    Raises:
        MeasurementError: A polyline has no vertex, another shape, or coordinates that are not finite.

    >>> polyline_distance(np.array([[0.0, 0.0], [4.0, 0.0]]), np.array([[0.0, 3.0], [4.0, 3.0]]))
    3.0
    """
    both = np.concatenate([distances_to_polyline(li_xy, ma_xy), distances_to_polyline(ma_xy, li_xy)])
    return float(both.mean())


def distances_to_polyline(points: NDArray[np.float64], polyline: NDArray[np.float64]) -> NDArray[np.float64]:
    """Distance of each point to the nearest segment of a polyline.

    Args:
        points: `(N, 2)`.
        polyline: `(M, 2)` vertices in order; a single one counts as a point.

    Returns:
        Float64 `(N,)`.

    Raises:
        MeasurementError: As `polyline_distance`.
    """
    _check(points)
    _check(polyline)
    starts = polyline[:-1] if len(polyline) > 1 else polyline
    along = polyline[1:] - starts if len(polyline) > 1 else np.zeros_like(polyline)
    squared = (along**2).sum(axis=1)
    low, high = np.minimum(starts, starts + along), np.maximum(starts, starts + along)
    farthest, _ = cKDTree(polyline).query(points)  # no segment is farther than the nearest vertex
    nearest = []
    for begin in range(0, len(points), _POINTS_AT_ONCE):
        group, reach = points[begin : begin + _POINTS_AT_ONCE], farthest[begin : begin + _POINTS_AT_ONCE].max()
        # A little more than the reach, so that rounding leaves no segment out.
        margin = reach * (1.0 + 1e-9) + 1e-9
        near = ((low <= group.max(axis=0) + margin) & (high >= group.min(axis=0) - margin)).all(axis=1)
        nearest.append(_nearest(group, starts[near], along[near], squared[near]))
    return np.concatenate(nearest)


def _nearest(
    points: NDArray[np.float64],
    starts: NDArray[np.float64],
    along: NDArray[np.float64],
    squared: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Distance of `(n, 2)` points to the nearest of `(m, 2)` segments."""
    offset = points[:, np.newaxis, :] - starts
    with np.errstate(invalid="ignore", divide="ignore"):
        foot = np.clip((offset * along).sum(axis=2) / squared, 0.0, 1.0)
    # A segment of length zero is its own foot.
    foot = np.where(squared > 0.0, foot, 0.0)
    between = offset - foot[:, :, np.newaxis] * along
    distances: NDArray[np.float64] = np.hypot(between[..., 0], between[..., 1]).min(axis=1)
    return distances


def _check(vertices: NDArray[np.float64]) -> None:
    two_columns = vertices.ndim == 2 and vertices.shape[1] == 2 and len(vertices) > 0
    if not two_columns or not np.isfinite(vertices).all():
        raise MeasurementError(
            f"Expected the vertices to be finite (N, 2) with N of at least 1, got {vertices.shape}. "
            "Leave out the columns without a boundary."
        )
