"""Dice alone, for the many masks whose surface distances nobody asks for."""

import numpy as np
from numpy.typing import NDArray

from sequal.labels import IGNORE, INTIMA_MEDIA

__all__ = ["dice", "mean_or_none"]


def dice(prediction: NDArray[np.uint8], reference: NDArray[np.uint8], on: NDArray[np.uint8] | None = None) -> float:
    """Dice of the layer in two labels.

    Args:
        prediction: uint8 (W, H); 255 counts as background unless `on` leaves it out.
        reference: the same.
        on: only pixels that this label annotates (other than 255) count; None: all.

    Returns:
        0..1; 1 when neither shows the layer.

    >>> drawn = np.array([[1, 0, 255]], dtype=np.uint8)
    >>> true = np.array([[1, 1, 1]], dtype=np.uint8)
    >>> dice(drawn, true), round(dice(drawn, true, on=drawn), 4)
    (0.5, 0.6667)
    """
    counted = np.ones(reference.shape, dtype=bool) if on is None else on != IGNORE
    ours, theirs = (prediction == INTIMA_MEDIA) & counted, (reference == INTIMA_MEDIA) & counted
    total = int(np.count_nonzero(ours)) + int(np.count_nonzero(theirs))
    return 2.0 * int(np.count_nonzero(ours & theirs)) / total if total else 1.0


def mean_or_none(values: list[float]) -> float | None:
    """Mean of the finite values; None without any.

    >>> mean_or_none([1.0, float("inf"), 2.0]), mean_or_none([])
    (1.5, None)
    """
    finite = [value for value in values if np.isfinite(value)]
    return float(np.mean(finite)) if finite else None
