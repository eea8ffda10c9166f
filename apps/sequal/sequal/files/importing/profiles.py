"""Boundary profiles (LI or MA as points) as text files, and the mask between two of them.

The layouts are those of the Carotid Ultrasound Boundary Study (Meiburger et al., 10.17632/fpv535fss7.1 and
10.17632/m7ndn58sv6.1).
"""

from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import PchipInterpolator

from sequal.errors import LabelError
from sequal.files.text_files import numbers_in, read_text, uses_decimal_comma
from sequal.labels import BACKGROUND, IGNORE, INTIMA_MEDIA

__all__ = ["mask_between", "read_profile"]

#: With fewer points the two layouts cannot be told apart, and nothing was traced.
_FEWEST_POINTS: Final = 3
#: How far outside the image a point may lie: half a pixel of its edge, one of counting from 1.
_OUTSIDE_PX: Final = 1.5


def read_profile(path: Path) -> NDArray[np.float64]:
    """Read a profile: two lines (all x, then all y), or one `x y` pair a line.

    Args:
        path: the text file; numbers separated by blanks, tabs, commas or semicolons, with decimal points, or with
            decimal commas where blanks or semicolons separate them.

    Returns:
        Float64 (N, 2), x and y in pixels as stored, N of at least 3, sorted by x; points of one x are averaged.

    Raises:
        LabelError: another layout, too few points, or a number that is not finite; file and line are named.
    """
    try:
        text = read_text(path)
    except (OSError, UnicodeDecodeError) as error:
        raise LabelError(f"Expected `{path.name}` to be a text file, got: {error}. Copy it again.") from error
    comma = uses_decimal_comma(text)
    if comma is None:
        raise LabelError(
            f"Expected the commas of `{path.name}` to be decimal signs or separators, got numbers that can be read in "
            "both ways. Export the profile with decimal points."
        )
    lines = enumerate(text.split("\n"), start=1)
    rows = [(number, numbers_in(line, decimal_comma=comma)) for number, line in lines if line.strip()]
    for number, values in rows:
        if not values or not np.isfinite(values).all():
            raise LabelError(
                f"Expected line {number} of `{path.name}` to hold finite numbers, got something else. Correct the line."
            )
    return _by_column(_points(path, rows))


def mask_between(li: NDArray[np.float64], ma: NDArray[np.float64], grid: tuple[int, int, int]) -> NDArray[np.uint8]:
    """The label between two boundaries, interpolated over their columns (PCHIP, Fritsch and Carlson 1980).

    A pixel at depth y is inside when LI <= y < MA, the rule by which `boundaries_from_mask` reads it back. A column
    outside the common support, or in which the boundaries leave no pixel between them, is unknown.

    Args:
        li: (N, 2), as `read_profile` gives it; the first pixel's centre is (0, 0).
        ma: (M, 2).
        grid: (W, H, 1) of the image.

    Returns:
        Uint8 (W, H, 1) in {0, 1, 255}.

    Raises:
        LabelError: a point lies outside the image, MA lies above LI, or the two share no column.
    """
    width, height, frames = grid
    if frames != 1:
        raise LabelError(f"Expected profiles of a single frame, got a clip of {frames} frames. Save the frame alone.")
    for name, points in (("LI", li), ("MA", ma)):
        _check_inside(name, points, width, height)
    first = max(int(np.ceil(max(li[0, 0], ma[0, 0]))), 0)
    last = min(int(np.floor(min(li[-1, 0], ma[-1, 0]))), width - 1)
    columns = np.arange(first, last + 1)
    if not columns.size:
        raise LabelError("Expected LI and MA to share columns, got none. Check that both belong to this image.")
    upper, lower = PchipInterpolator(*li.T)(columns), PchipInterpolator(*ma.T)(columns)
    if np.median(lower - upper) <= 0:
        raise LabelError("Expected MA to lie below LI, got the reverse. Check whether the two files are swapped.")
    depth = np.arange(height)
    inside = (depth >= upper[:, None]) & (depth < lower[:, None])
    label = np.full((width, height), IGNORE, dtype=np.uint8)
    drawn = inside.any(axis=1)
    label[columns[drawn]] = np.where(inside[drawn], np.uint8(INTIMA_MEDIA), np.uint8(BACKGROUND))
    return label[:, :, np.newaxis]


def _points(path: Path, rows: list[tuple[int, tuple[float, ...]]]) -> NDArray[np.float64]:
    if len(rows) == 2 and len(rows[0][1]) >= _FEWEST_POINTS:
        (_, x), (number, y) = rows
        if len(x) != len(y):
            raise LabelError(
                f"Expected line {number} of `{path.name}` to hold {len(x)} numbers as the one before, got {len(y)}. "
                "Export the profile again."
            )
        return np.array([x, y]).T
    for number, values in rows:
        if len(values) != 2:
            raise LabelError(
                f"Expected line {number} of `{path.name}` to hold one x y pair, or the file two lines (all x, all y), "
                f"got {len(values)} numbers in {len(rows)} lines. Export the profile again."
            )
    if len(rows) < _FEWEST_POINTS:
        raise LabelError(
            f"Expected `{path.name}` to hold at least {_FEWEST_POINTS} points, got {len(rows)}. Trace the boundary."
        )
    return np.array([values for _, values in rows])


def _by_column(points: NDArray[np.float64]) -> NDArray[np.float64]:
    x, index = np.unique(points[:, 0], return_inverse=True)
    y = np.bincount(index, weights=points[:, 1]) / np.bincount(index)
    if len(x) < 2:
        raise LabelError("Expected a profile to cross several columns, got one. Check that x comes before y.")
    return np.stack([x, y], axis=1)


def _check_inside(name: str, points: NDArray[np.float64], width: int, height: int) -> None:
    limits = np.array([width - 1, height - 1]) + _OUTSIDE_PX
    outside = (points < -_OUTSIDE_PX).any(axis=1) | (points > limits).any(axis=1)
    if outside.any():
        x, y = points[outside][0]
        raise LabelError(
            f"Expected {name} to lie within the image of {width} x {height} pixels, got the point ({x:g}, {y:g}) and "
            f"{int(outside.sum()) - 1} more outside. Check that the profile belongs to this image."
        )
