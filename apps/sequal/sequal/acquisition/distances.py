"""Euclidean distances to the nearest of many points, in blocks, so that no matrix of all pairs is ever held."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

__all__ = ["Array", "nearest_squared", "squared_distances", "stack"]

Array = NDArray[np.float64]

#: Rows of either side that are compared at once: at most 8 MiB of distances.
_BLOCK: Final = 1024
#: A squared distance below this part of the squared norms is rounding: the two points are one.
_SAME: Final = 1e-12


def stack(vectors: list[NDArray[np.float32]]) -> Array:
    """Vectors of one length D as float64 `(N, D)`; `(0, 0)` for none."""
    return np.stack(vectors).astype(np.float64) if vectors else np.zeros((0, 0))


def squared_distances(points: Array, centres: Array) -> Array:
    """Squared Euclidean distances, exactly 0 for equal points.

    Args:
        points: `(N, D)`.
        centres: `(M, D)`.

    Returns:
        `(N, M)`, ≥ 0.

    >>> squared_distances(np.array([[0.0, 0.0], [3.0, 4.0]]), np.array([[0.0, 0.0]])).tolist()
    [[0.0], [25.0]]
    """
    norms = (points**2).sum(axis=1)[:, None] + (centres**2).sum(axis=1)[None, :]
    squared = norms - 2 * points @ centres.T
    # Expanding the square rounds: without this a copy of a centre would keep a chance of being drawn.
    squared[squared <= _SAME * norms] = 0.0
    return squared


def nearest_squared(points: Array, centres: Array) -> Array:
    """Squared distance of each point to the nearest centre, block by block.

    Args:
        points: `(N, D)`.
        centres: `(M, D)`.

    Returns:
        `(N,)`; infinite when there is no centre.

    >>> nearest_squared(np.array([[0.0], [4.0]]), np.array([[1.0], [2.0]])).tolist()
    [1.0, 4.0]
    """
    nearest = np.full(len(points), np.inf)
    for row in range(0, len(points), _BLOCK):
        rows = slice(row, row + _BLOCK)
        for column in range(0, len(centres), _BLOCK):
            block = squared_distances(points[rows], centres[column : column + _BLOCK])
            nearest[rows] = np.minimum(nearest[rows], block.min(axis=1))
    return nearest
