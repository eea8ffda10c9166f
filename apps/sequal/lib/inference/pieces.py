"""Short pieces of a predicted layer: a wall crosses the image, a speck of it is a mistake."""

from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import find_objects, label

__all__ = ["drop_short_pieces"]

#: A piece is also short beside a longer one: when it has less than this part of its length.
_PART_OF_LONGEST: Final = 0.25
_NEIGHBOURS: Final = np.ones((3, 3), dtype=np.uint8)


def drop_short_pieces(probability: NDArray[np.float32], pixel_mm: float, min_length_mm: float) -> NDArray[np.float32]:
    """The probability with short pieces of its mask (p > 0.5, eight neighbours) set to 0.

    Args:
        probability: float32 (W, H), of the layer.
        pixel_mm: width of a pixel.
        min_length_mm: a piece that is laterally shorter goes, and so does one shorter than a quarter of the longest;
            with 0 nothing is dropped.

    Returns:
        A new array, or the given one when nothing was dropped.

    >>> row = np.array([[0.75], [0.75], [0.75], [0.25], [0.75], [0.25]], dtype=np.float32)
    >>> drop_short_pieces(row, pixel_mm=1.0, min_length_mm=2.0).ravel().tolist()
    [0.75, 0.75, 0.75, 0.25, 0.0, 0.25]
    """
    if min_length_mm <= 0:
        return probability
    pieces, count = label(probability > 0.5, structure=_NEIGHBOURS)
    if not count:
        return probability
    lengths = np.array([columns.stop - columns.start for columns, _ in find_objects(pieces)]) * pixel_mm
    short = (lengths < min_length_mm) | (lengths < _PART_OF_LONGEST * lengths.max())
    if not short.any():
        return probability
    kept = probability.copy()
    kept[np.isin(pieces, 1 + np.flatnonzero(short))] = 0.0
    return kept
