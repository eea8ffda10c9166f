"""The jugular vein above the artery, cut lengthwise: a dark vessel whose lower wall is not the one to measure."""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from sequal.anatomy.phantom.anatomy import SAMPLES, smooth_curve

__all__ = ["Jugular", "draw_jugular", "jugular_level"]

Field = NDArray[np.floating[Any]]

#: The vein stays at least so far below the probe.
_SKIN_MM: Final = 1.2


@dataclass(frozen=True)
class Jugular:
    """A vein over the whole width or a part of it.

    Attributes:
        gap_mm: tissue between the vein's lower wall and the artery's near lumen edge, float64 (SAMPLES,).
        height_mm: the vein's own height, float64 (SAMPLES,); 0 where it is closed.
        blood_db: level of its lumen against bright tissue.
        wall: strength 0..1 of its walls' lines.
        wall_mm: thickness of a line.
        behind_db: how much brighter the tissue right below it is.
    """

    gap_mm: NDArray[np.float64]
    height_mm: NDArray[np.float64]
    blood_db: float
    wall: float
    wall_mm: float
    behind_db: float


def draw_jugular(rng: np.random.Generator) -> Jugular:
    """A vein from wide ranges; two in five close towards one side."""
    x = np.linspace(-0.5, 0.5, SAMPLES)
    gap = np.exp(rng.uniform(np.log(0.5), np.log(3.2))) + rng.normal(0.0, 1.0) * x
    gap = gap + smooth_curve(rng, SAMPLES, 90, rng.uniform(0.0, 0.25))
    height = rng.uniform(1.2, 9.0) * np.clip(1.0 + smooth_curve(rng, SAMPLES, 90, rng.uniform(0.0, 0.25)), 0.3, 2.0)
    if rng.random() < 0.4:
        side, edge, soft = rng.choice([-1.0, 1.0]), rng.uniform(-0.2, 0.4), rng.uniform(0.02, 0.15)
        height = height / (1.0 + np.exp((side * x - edge) / soft))
    return Jugular(
        gap_mm=np.maximum(gap, 0.35),
        height_mm=np.where(height < 0.4, 0.0, height),
        blood_db=float(rng.uniform(-70.0, -40.0)),
        wall=float(rng.uniform(0.1, 1.1)),
        wall_mm=float(rng.uniform(0.04, 0.16)),
        behind_db=float(rng.uniform(0.0, 5.0)),
    )


def jugular_level(jugular: Jugular, depth: Field, near: Field, db: Field, lines: Field) -> tuple[Field, Field]:
    """The vein drawn over the tissue above the artery.

    Args:
        jugular: the vein.
        depth: depth of each row (1, H), mm.
        near: end of the artery's near wall (W, 1), mm.
        db: level of the diffuse echoes (W, H), dB.
        lines: amplitude of the specular lines (W, H).

    Returns:
        Level and lines with the vein in them, new arrays.
    """
    at = np.linspace(0, SAMPLES - 1, len(near))
    gap, height = (np.interp(at, np.arange(SAMPLES), curve)[:, None] for curve in (jugular.gap_mm, jugular.height_mm))
    bottom = near - gap
    top = np.maximum(bottom - height, _SKIN_MM)
    open_here = (height > 0) & (bottom > top + 0.3)
    inside = open_here & (depth > top) & (depth < bottom)
    below = open_here & (depth >= bottom) & (depth < bottom + 0.8)
    wall = sum(np.exp(-(((depth - edge) / jugular.wall_mm) ** 2)) for edge in (top, bottom + jugular.wall_mm))
    level = np.where(inside, jugular.blood_db, db + np.where(below, jugular.behind_db, 0.0))
    return level, np.where(inside, 0.0, lines) + np.where(open_here, jugular.wall * wall, 0.0)
