"""Dice with the expert's own labels."""

import numpy as np
from numpy.typing import NDArray

from sequal.labels import BACKGROUND, IGNORE

__all__ = ["label_dice"]


def label_dice(classes: NDArray[np.uint8], label: NDArray[np.uint8]) -> float:
    """Dice of a prediction with a label on the pixels that the label annotates, mean over the classes of either.

    Args:
        classes: uint8, any shape.
        label: uint8 of that shape, classes and 255.

    Returns:
        0..1; 1 where both are background throughout.

    >>> label_dice(np.array([1, 1, 0], np.uint8), np.array([1, 0, 255], np.uint8))
    0.6666666666666666
    >>> label_dice(np.array([1, 2, 2], np.uint8), np.array([1, 2, 0], np.uint8))  # 1 and 2/3
    0.8333333333333333
    >>> label_dice(np.zeros(2, np.uint8), np.zeros(2, np.uint8))
    1.0
    """
    known = label != IGNORE
    found, drawn = classes[known], label[known]
    seen = np.union1d(np.unique(found), np.unique(drawn))
    scores = []
    for number in seen[seen != BACKGROUND]:
        one, other = found == number, drawn == number
        total = int(np.count_nonzero(one)) + int(np.count_nonzero(other))
        scores.append(2.0 * int(np.count_nonzero(one & other)) / total)
    return sum(scores) / len(scores) if scores else 1.0
