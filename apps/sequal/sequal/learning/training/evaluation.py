"""Dice with the expert's own labels."""

import numpy as np
from numpy.typing import NDArray

from sequal.labels import IGNORE, INTIMA_MEDIA

__all__ = ["mask_dice"]


def mask_dice(mask: NDArray[np.bool_], label: NDArray[np.uint8]) -> float:
    """Dice of a mask with a label on the pixels that the label annotates; 1 where both are empty.

    Args:
        mask: bool, any shape.
        label: uint8 of that shape, in {0, 1, 255}.

    >>> mask_dice(np.array([True, True, False]), np.array([1, 0, 255], np.uint8))
    0.6666666666666666
    >>> mask_dice(np.zeros(2, bool), np.zeros(2, np.uint8))
    1.0
    """
    found, drawn = mask & (label != IGNORE), label == INTIMA_MEDIA
    total = int(np.count_nonzero(found)) + int(np.count_nonzero(drawn))
    return 2.0 * int(np.count_nonzero(found & drawn)) / total if total else 1.0
