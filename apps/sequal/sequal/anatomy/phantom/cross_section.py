"""Vessels that are cut across: rings whose lower arc looks like a far wall, and is not one to measure."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["CrossSection", "draw_cross_sections", "ring_level"]

Field = NDArray[np.floating[Any]]


@dataclass(frozen=True)
class CrossSection:
    """One vessel cut across.

    Attributes:
        x_mm: lateral place of its centre from the middle of the frame.
        depth_mm: depth of its centre.
        radius_mm: half the height of its lumen.
        flatness: half the width of the lumen over half its height.
        wall_mm: intima and media together; 0 for a vein, which shows one thin line.
        media_db: level of the wall against bright tissue.
        intima: strength 0..1 of the line at the lumen.
        adventitia_db: level of the bright ring.
        adventitia_mm: its thickness.
        blood_db: level of the lumen.
        facing: exponent of the drop of echoes where the wall does not face the beam, > 0.
        behind_db: how much brighter the tissue below the vessel is.
    """

    x_mm: float
    depth_mm: float
    radius_mm: float
    flatness: float
    wall_mm: float
    media_db: float
    intima: float
    adventitia_db: float
    adventitia_mm: float
    blood_db: float
    facing: float
    behind_db: float


def draw_cross_sections(rng: np.random.Generator, width_mm: float, depth_mm: float) -> tuple[CrossSection, ...]:
    """One or two arteries and perhaps a vein beside them, from wide ranges.

    Args:
        rng: source of randomness.
        width_mm: of the scan area.
        depth_mm: of the scan area.
    """
    x, at = rng.uniform(-0.25, 0.25) * width_mm, rng.uniform(0.3, 0.72) * depth_mm
    vessels = [_draw(rng, x, at, artery=True)]
    side = float(rng.choice([-1.0, 1.0]))
    if rng.random() < 0.25:  # above the bifurcation: two arteries
        apart = vessels[0].radius_mm * vessels[0].flatness + rng.uniform(3.5, 6.0)
        vessels.append(_draw(rng, x + side * apart, at + rng.normal(0.0, 2.0), artery=True))
    if rng.random() < 0.6:
        beside = -side * (vessels[0].radius_mm * vessels[0].flatness + rng.uniform(2.0, 7.0))
        vessels.append(_draw(rng, x + beside, at - rng.uniform(0.0, 5.0), artery=False))
    return tuple(vessels)


def _draw(rng: np.random.Generator, x_mm: float, depth_mm: float, *, artery: bool) -> CrossSection:
    return CrossSection(
        x_mm=float(x_mm),
        depth_mm=float(depth_mm),
        radius_mm=float(rng.uniform(1.8, 4.8) if artery else rng.uniform(1.0, 5.0)),
        flatness=float(rng.uniform(0.85, 1.6) if artery else rng.uniform(0.9, 2.4)),
        wall_mm=float(rng.uniform(0.35, 1.4)) if artery else 0.0,
        media_db=float(rng.uniform(-34.0, -16.0)),
        intima=float(rng.uniform(0.05, 0.9)),
        adventitia_db=float(rng.uniform(-8.0, 4.0) if artery else rng.uniform(-16.0, -4.0)),
        adventitia_mm=float(rng.uniform(0.5, 2.0) if artery else rng.uniform(0.1, 0.5)),
        blood_db=float(rng.uniform(-72.0, -34.0)),
        facing=float(rng.uniform(0.3, 3.0)),
        behind_db=float(rng.uniform(0.0, 6.0)),
    )


def ring_level(vessel: CrossSection, across_mm: Field, depth: Field, db: Field, lines: Field) -> tuple[Field, Field]:
    """The vessel drawn over the tissue.

    Args:
        vessel: its shape and echoes.
        across_mm: lateral place of each column from the middle of the frame (W, 1), mm.
        depth: depth of each row (1, H), mm.
        db: level of the diffuse echoes (W, H), dB.
        lines: amplitude of the specular lines (W, H).

    Returns:
        Level and lines with the vessel in them, new arrays.
    """
    x, y = (across_mm - vessel.x_mm) / vessel.flatness, depth - vessel.depth_mm
    radius = np.hypot(x, y)
    outside = radius - vessel.radius_mm
    facing = (np.abs(y) / np.maximum(radius, 1e-3)) ** vessel.facing
    behind = (np.abs(x) < vessel.radius_mm) & (y > 0)
    level = db + np.where(behind & (outside > 0), vessel.behind_db, 0.0)
    into_ring = outside - vessel.wall_mm
    fade = 12.0 * (1.0 - facing) + 8.0 * np.clip(into_ring / vessel.adventitia_mm, 0.0, 1.0)
    ring = (into_ring >= 0) & (into_ring < vessel.adventitia_mm)
    level = np.where(ring, np.maximum(level, vessel.adventitia_db - fade), level)
    level = np.where((outside >= 0) & (into_ring < 0), vessel.media_db, level)
    level = np.where(outside < 0, vessel.blood_db, level)
    kept = np.where(into_ring < vessel.adventitia_mm, 0.0, lines)
    edge = np.exp(-(((outside - 0.05) / 0.05) ** 2)) * vessel.intima
    rim = np.exp(-((into_ring / 0.06) ** 2)) * 10 ** (vessel.adventitia_db / 20)
    return level, kept + facing * (edge + rim)
