"""The mask between two curves that a person has drawn or dragged."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from sequal.anatomy.measurement.boundaries import Boundaries
from sequal.errors import MeasurementError
from sequal.labels import INTIMA_MEDIA

__all__ = ["mask_between"]

#: A point belongs to a frame when it lies within half a slice of it.
_NEAR: float = 0.5


def mask_between(
    li: Sequence[NDArray[np.float64]], ma: Sequence[NDArray[np.float64]], grid: tuple[int, int, int]
) -> NDArray[np.uint8]:
    """The pixels between LI and MA, in the columns that both cross; a pixel at depth y is inside when li <= y < ma.

    The curves of `carotid_contours` give the mask of `carotid` back, to half a pixel at each boundary.

    Args:
        li: curves of the lumen-intima boundary, each `(N, 3)`: column, row and frame of its points, in pixels, the
            centre of the first being 0. Their order does not count; between points the curve is straight.
        ma: the same of the media-adventitia boundary.
        grid: `(W, H, F)` of the image.

    Returns:
        uint8 `(W, H, F)`; all 0 where nothing is drawn.

    Raises:
        MeasurementError: a curve is no list of finite points, lies in no frame of the image, or crosses the other one.

    >>> line = np.array([[0.0, 1.0, 0.0], [2.0, 1.0, 0.0]])
    >>> mask_between([line], [line + [0, 2, 0]], (3, 4, 1))[:, :, 0].tolist()
    [[0, 1, 1, 0], [0, 1, 1, 0], [0, 1, 1, 0]]
    """
    _, height, frames = grid
    upper, lower = _depths(li, "LI", grid), _depths(ma, "MA", grid)
    mask = np.zeros(grid, dtype=np.uint8)
    rows = np.arange(height)[np.newaxis, :]
    for frame in range(frames):
        both = np.isfinite(upper[frame]) & np.isfinite(lower[frame])
        found = Boundaries(np.where(both, upper[frame], np.nan), np.where(both, lower[frame], np.nan))
        inside = (rows >= found.li[:, np.newaxis]) & (rows < found.ma[:, np.newaxis])
        mask[:, :, frame][inside] = INTIMA_MEDIA
    return mask


def _depths(curves: Sequence[NDArray[np.float64]], name: str, grid: tuple[int, int, int]) -> NDArray[np.float64]:
    """Depth by frame and column, `(F, W)`, NaN where no curve is."""
    depths = np.full((grid[2], grid[0]), np.nan)
    for curve in curves:
        if curve.ndim != 2 or curve.shape[1:] != (3,) or not np.isfinite(curve).all():
            raise MeasurementError(
                f"Expected every curve of {name} to be a list of points with three finite numbers, got one of shape "
                f"{curve.shape}. Send the points as 3D Slicer gives them."
            )
        if not len(curve):
            continue
        # A still has one frame, wherever a viewer has put its slice.
        frame = round(float(np.median(curve[:, 2]))) if grid[2] > 1 else 0
        if grid[2] > 1 and (not 0 <= frame < grid[2] or np.abs(curve[:, 2] - frame).max() > _NEAR):
            raise MeasurementError(
                f"Expected every curve of {name} to lie in one frame of the image, 0 to {grid[2] - 1}, got frames "
                f"{curve[:, 2].min():.1f} to {curve[:, 2].max():.1f}. Draw it in the slice of its frame."
            )
        points = curve[np.argsort(curve[:, 0], kind="stable")]
        first, last = max(0, int(np.ceil(points[0, 0]))), min(grid[0] - 1, int(np.floor(points[-1, 0])))
        columns = np.arange(first, last + 1)
        depths[frame, columns] = np.interp(columns, points[:, 0], points[:, 1])
    return depths
