"""Muscles on top of each other, with their sheaths: dark layers on bright bands, and no vessel at all."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["MuscleLayer", "draw_muscles", "muscle_level"]

Field = NDArray[np.floating[Any]]


@dataclass(frozen=True)
class MuscleLayer:
    """One muscle and the bright band (aponeurosis) above it.

    Attributes:
        left_mm: depth of the band at the left side of the frame.
        right_mm: depth at the right side.
        bow_mm: how much deeper it is in the middle.
        band_mm: thickness of the band.
        band_db: its level against bright tissue.
        fade: how much the band's level changes along it, dB.
        muscle_db: mean level of the muscle below the band.
        contrast: factor on the streaks of its fibres, which are given in dB around 0.
    """

    left_mm: float
    right_mm: float
    bow_mm: float
    band_mm: float
    band_db: float
    fade: float
    muscle_db: float
    contrast: float


def draw_muscles(rng: np.random.Generator, depth_mm: float) -> tuple[MuscleLayer, ...]:
    """Two to five layers, the uppermost first.

    Args:
        rng: source of randomness.
        depth_mm: of the scan area.
    """
    count = int(rng.integers(2, 6))
    depths = np.sort(rng.uniform(1.5, depth_mm, count))
    slope = rng.normal(0.0, 2.5)
    return tuple(
        MuscleLayer(
            left_mm=float(depth - slope + rng.normal(0.0, 0.6)),
            right_mm=float(depth + slope + rng.normal(0.0, 0.6)),
            bow_mm=float(rng.normal(0.0, 0.6)),
            band_mm=float(np.exp(rng.uniform(np.log(0.15), np.log(1.6)))),
            band_db=float(rng.uniform(-14.0, 4.0)),
            fade=float(rng.uniform(0.0, 8.0)),
            muscle_db=float(rng.uniform(-46.0, -12.0)),
            contrast=float(rng.uniform(0.6, 2.2)),
        )
        for depth in depths
    )


def muscle_level(layer: MuscleLayer, depth: Field, streaks_db: Field, fading: NDArray[np.float64]) -> Field:
    """Level in dB (W, H) of everything from the band downwards, NaN above it.

    Args:
        layer: the band and its muscle.
        depth: depth of each row (1, H), mm.
        streaks_db: texture of the muscle (W, H), dB around 0.
        fading: course (W,) of the band's level along it, around 0 with a spread of 1.
    """
    x = np.linspace(-0.5, 0.5, len(streaks_db))[:, None]
    band = layer.left_mm + (layer.right_mm - layer.left_mm) * (x + 0.5) + layer.bow_mm * (1 - 4 * x**2)
    below = depth - band
    level = np.where(below >= 0, layer.muscle_db + layer.contrast * streaks_db, np.nan)
    in_band = (below >= 0) & (below < layer.band_mm)
    return np.where(in_band, np.fmax(level, layer.band_db + layer.fade * fading[:, None]), level)
