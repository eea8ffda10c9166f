"""Synthetic layers with known sub-pixel boundaries."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

SPACING_MM = 0.06


@dataclass(frozen=True)
class Layer:
    """Boundaries in pixels (W,), and the mask (W, H) in which y is inside when li <= y < ma."""

    li: NDArray[np.float64]
    ma: NDArray[np.float64]
    mask: NDArray[np.uint8]


def wall(rng: np.random.Generator, thickness_mm: float, *, width: int = 300, height: int = 160) -> Layer:
    """A tilted, curved far wall whose thickness varies by a tenth along the vessel."""
    x = np.arange(width)
    tilt, bend = rng.uniform(-0.12, 0.12), rng.uniform(-6.0, 6.0)
    phase = rng.uniform(0.0, 2.0 * np.pi)
    li = height / 2 + rng.uniform(-0.5, 0.5) + tilt * (x - width / 2) + bend * np.cos(2 * np.pi * x / width + phase)
    ma = li + thickness_mm / SPACING_MM * (1.0 + 0.1 * np.sin(4 * np.pi * x / width + phase))
    depth = np.arange(height)
    mask = ((depth >= li[:, np.newaxis]) & (depth < ma[:, np.newaxis])).astype(np.uint8)
    return Layer(li, ma, mask)
