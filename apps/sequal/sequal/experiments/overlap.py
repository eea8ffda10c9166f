"""Dice alone, for the many masks whose surface distances nobody asks for."""

import numpy as np
from numpy.typing import NDArray

from sequal.anatomy.measurement import label_dice
from sequal.labels import BACKGROUND, IGNORE

__all__ = ["dice", "mean_or_none"]


def dice(prediction: NDArray[np.uint8], reference: NDArray[np.uint8], on: NDArray[np.uint8] | None = None) -> float:
    """Dice of two labels, mean over the classes of either.

    Args:
        prediction: uint8, any shape; 255 counts as background unless `on` leaves it out.
        reference: the same.
        on: only pixels that this label annotates (other than 255) count; None: all.

    Returns:
        0..1; 1 when neither shows a class.

    >>> drawn = np.array([[1, 0, 255]], dtype=np.uint8)
    >>> true = np.array([[1, 1, 1]], dtype=np.uint8)
    >>> dice(drawn, true), round(dice(drawn, true, on=drawn), 4)
    (0.5, 0.6667)
    """
    ours, theirs = (np.where(label == IGNORE, np.uint8(BACKGROUND), label) for label in (prediction, reference))
    return label_dice(ours, theirs if on is None else np.where(on == IGNORE, np.uint8(IGNORE), theirs))


def mean_or_none(values: list[float]) -> float | None:
    """Mean of the finite values; None without any.

    >>> mean_or_none([1.0, float("inf"), 2.0]), mean_or_none([])
    (1.5, None)
    """
    finite = [value for value in values if np.isfinite(value)]
    return float(np.mean(finite)) if finite else None
