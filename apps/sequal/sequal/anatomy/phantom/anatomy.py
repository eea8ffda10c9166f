"""The neck under the probe: tissue layers, the artery and its far wall, as depths over the lateral position."""

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

__all__ = ["KINDS", "Anatomy", "Kind", "draw_anatomy", "draw_kind", "smooth_curve", "traceable"]

Curve = NDArray[np.float64]
Kind = Literal["ordinary", "plaque", "thickened", "bulb", "low_gain", "shadow", "no_wall"]
KINDS: Final[tuple[Kind, ...]] = ("ordinary", "plaque", "thickened", "bulb", "low_gain", "shadow", "no_wall")
_SHARES: Final = (0.46, 0.13, 0.08, 0.08, 0.08, 0.08, 0.09)
#: Columns of an anatomy, over the width of the scan area.
SAMPLES: Final = 512


@dataclass(frozen=True)
class Anatomy:
    """Curves over `SAMPLES` lateral positions; depths in mm from the probe.

    Attributes:
        kind: what is special about it.
        near_mm: end of the near wall (its lumen-intima boundary).
        li_mm: far wall, lumen-intima boundary.
        ma_mm: far wall, media-adventitia boundary.
        in_plane: 0..1, how much of the artery the scan plane cuts: 1 inside, falling to 0 where it leaves.
        strength: specular strength of the far wall's intima line, 0..1 (drop-out).
        adventitia_mm: thickness of the bright adventitia.
        fascia: rows (depth at the left, depth at the right, bow, strength) in mm and 0..1.
        shadow_db: attenuation below the near wall.
        plaque: echogenicity of the thickened wall in dB against muscle, and whether it is calcified.
        seed: of everything smaller than a curve.
    """

    kind: Kind
    near_mm: Curve
    li_mm: Curve
    ma_mm: Curve
    in_plane: Curve
    strength: Curve
    adventitia_mm: float
    fascia: NDArray[np.float64]
    shadow_db: Curve
    plaque_db: float
    vein: tuple[float, float, float, float] | None
    seed: int


def traceable(anatomy: Anatomy, depth_mm: float) -> NDArray[np.bool_]:
    """Columns (`SAMPLES`) in which a reader could trace the far wall."""
    inside = (anatomy.ma_mm < depth_mm - 0.8) & (anatomy.li_mm > 4.0)
    return inside & (anatomy.in_plane > 0.5) & (anatomy.shadow_db < 16.0)


def smooth_curve(rng: np.random.Generator, n: int, length: float, sd: float) -> Curve:
    """A random curve of `n` samples with correlation length `length` (samples) and standard deviation `sd`."""
    raw = gaussian_filter1d(rng.standard_normal(n + 8 * int(length)), length, mode="wrap")
    raw = raw[4 * int(length) :][:n]
    spread = float(raw.std())
    return sd * (raw - raw.mean()) / spread if spread > 0 else np.zeros(n)


def draw_kind(rng: np.random.Generator) -> Kind:
    """A kind by its share: about half ordinary, one in eleven without a wall."""
    return KINDS[int(rng.choice(len(KINDS), p=_SHARES))]


def draw_anatomy(rng: np.random.Generator, kind: Kind, width_mm: float, depth_mm: float) -> Anatomy:
    """An anatomy that fits a scan area.

    Args:
        rng: source of randomness.
        kind: what it must show.
        width_mm: of the scan area.
        depth_mm: of the scan area.
    """
    x = np.linspace(-0.5, 0.5, SAMPLES)
    lumen = rng.uniform(4.2, 8.0)
    deepest = depth_mm - 2.5
    far = float(np.clip(rng.uniform(0.38, 0.78) * depth_mm, lumen + 6.0, deepest))
    course = (
        np.tan(np.deg2rad(rng.normal(0.0, 6.0))) * width_mm * x
        + rng.normal(0.0, 1.2) * 4.0 * x**2
        + smooth_curve(rng, SAMPLES, 90, rng.uniform(0.0, 0.35))
    )
    ma = far + course
    imt = _thickness(rng, kind, x, width_mm)
    li = ma - imt
    diameter = lumen + smooth_curve(rng, SAMPLES, 100, 0.2)
    if kind == "bulb":
        side, centre = rng.choice([-1.0, 1.0]), rng.uniform(-0.2, 0.3)
        widening = rng.uniform(1.0, 3.5) / (1.0 + np.exp(-side * (x - side * centre) * rng.uniform(10.0, 30.0)))
        diameter = diameter + widening
        ma, li = ma + 0.5 * widening, li + 0.5 * widening
    near = np.maximum(ma - 0.7 - diameter, 3.0)
    strength = np.clip(
        rng.uniform(0.5, 0.9) + smooth_curve(rng, SAMPLES, rng.uniform(12, 60), rng.uniform(0.05, 0.4)), 0.0, 1.0
    )
    in_plane = np.ones(SAMPLES)
    if rng.random() < 0.25:  # the artery leaves the plane, or ends at the carotid bulb
        side, edge, soft = rng.choice([-1.0, 1.0]), rng.uniform(0.15, 0.45), rng.uniform(0.01, 0.06)
        in_plane = 1.0 / (1.0 + np.exp((side * x - edge) / soft))
        if rng.random() < 0.5:  # its lumen closes meanwhile
            closing = 0.5 * diameter * np.clip((side * x - edge + 3 * soft) / (6 * soft), 0.0, 1.0) ** 2
            near, ma, li = near + closing, ma - closing, li - closing
    near = np.minimum(near, li - 0.2)
    if kind == "no_wall":
        in_plane = np.zeros(SAMPLES)
    shadow = np.zeros(SAMPLES)
    if kind == "shadow" or rng.random() < 0.1:
        for _ in range(int(rng.integers(1, 3))):
            centre, half = rng.uniform(-0.5, 0.5), rng.uniform(0.02, 0.1)
            shadow += rng.uniform(8.0, 22.0) * np.exp(-(((x - centre) / half) ** 4))
    count = int(rng.integers(2, 9))
    fascia = np.column_stack(
        [
            (start := rng.uniform(1.5, depth_mm, count)),
            start + rng.normal(0.0, 2.0, count),
            rng.normal(0.0, 0.6, count),
            rng.uniform(0.15, 1.0, count),
        ]
    )
    vein = None
    if rng.random() < 0.2:
        vein = (rng.uniform(-0.4, 0.4), rng.uniform(0.25, 0.7), rng.uniform(3.0, 9.0), rng.uniform(0.8, 2.5))
    return Anatomy(
        kind=kind,
        near_mm=near,
        li_mm=li,
        ma_mm=ma,
        in_plane=in_plane,
        strength=strength,
        adventitia_mm=float(rng.uniform(0.6, 2.2)),
        fascia=fascia,
        shadow_db=shadow,
        plaque_db=float(rng.uniform(-14.0, 8.0)),
        vein=vein,
        seed=int(rng.integers(2**31)),
    )


def _thickness(rng: np.random.Generator, kind: Kind, x: Curve, width_mm: float) -> Curve:
    base = rng.uniform(0.9, 1.5) if kind == "thickened" else rng.uniform(0.35, 1.05)
    imt = base * np.clip(1.0 + smooth_curve(rng, len(x), 60, rng.uniform(0.02, 0.1)), 0.6, 1.4)
    if kind == "plaque":
        for _ in range(int(rng.integers(1, 3))):
            centre, half = rng.uniform(-0.4, 0.4), rng.uniform(1.5, 5.0) / width_mm
            imt = imt + rng.uniform(0.7, 2.4) * np.exp(-(np.abs((x - centre) / half) ** rng.uniform(2.0, 4.0)))
    return imt
