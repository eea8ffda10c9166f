"""Per-frame intensity normalisation."""

import numpy as np
from numpy.typing import NDArray

__all__ = ["HIGH_PERCENTILE", "LOW_PERCENTILE", "normalise_intensity"]

LOW_PERCENTILE, HIGH_PERCENTILE = 0.5, 99.5


def normalise_intensity(pixels: NDArray[np.float32]) -> NDArray[np.float32]:
    """Scale one frame to 0..1 between its 0.5th and 99.5th percentile, clipped.

    Percentiles, not minimum and maximum: a burned-in white ruler must not darken the tissue. A constant frame
    gives zeros.

    Args:
        pixels: float32 (W, H), finite, any range (8 or 16 bit, or scaled).

    >>> normalise_intensity(np.full((4, 4), 7, dtype=np.float32)).max()
    0.0
    """
    low, high = np.percentile(pixels, (LOW_PERCENTILE, HIGH_PERCENTILE))
    if high <= low:
        low, high = float(pixels.min()), float(pixels.max())
    if high <= low:
        return np.zeros_like(pixels)
    return np.clip((pixels - np.float32(low)) / np.float32(high - low), 0.0, 1.0).astype(np.float32)
