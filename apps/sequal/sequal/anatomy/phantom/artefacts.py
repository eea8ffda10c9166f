"""What makes echoes look like a far wall where there is none, and hides the one that is there."""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from sequal.anatomy.phantom.anatomy import Kind
from sequal.anatomy.phantom.cross_section import CrossSection, draw_cross_sections
from sequal.anatomy.phantom.jugular import Jugular, draw_jugular
from sequal.anatomy.phantom.muscle import MuscleLayer, draw_muscles

__all__ = ["Artefacts", "Sheath", "draw_artefacts", "ghosts", "haze_db", "sheath_level", "vein_rim"]

Field = NDArray[np.floating[Any]]

#: Factor on the intima line of a thickened wall: nobody traces an upper boundary that cannot be seen in a black lumen.
_THICK_INTIMA: Final = 2.0
#: Readers follow leading edges, where an echo begins to show; half of its rise is this much deeper.
_EDGE_MM: Final = 0.03


@dataclass(frozen=True)
class Sheath:
    """A muscle on its sheath: a dark, streaky layer on a bright band, as a lumen on a wall, but no lumen.

    Attributes:
        left_mm: depth of the band at the left side of the frame.
        right_mm: depth at the right side.
        bow_mm: how much deeper it is in the middle.
        band_mm: thickness of the band.
        band_db: its level against bright tissue.
        muscle_mm: thickness of the muscle above it.
        muscle_db: its mean level.
        line: strength 0..1 of a thin line above the band, as the intima's; 0 for none.
        line_mm: how far above.
    """

    left_mm: float
    right_mm: float
    bow_mm: float
    band_mm: float
    band_db: float
    muscle_mm: float
    muscle_db: float
    line: float
    line_mm: float


@dataclass(frozen=True)
class Artefacts:
    """Echoes that a clean model of the artery leaves out; the default adds nothing.

    Attributes:
        ghosts: repeated echoes of the near wall inside the lumen (reverberation): delay in mm, strength 0..1 each.
        haze: level in dB against bright tissue of a patchy fog in the lumen (side lobes, slow blood); None: none.
        haze_patch_mm: size of its patches.
        vein_rim: strength 0..1 of the wall of the vein above the artery, where there is one.
        sheaths: muscles on their sheaths; the artery lies in front of them.
        intima: factor on the strength of the far wall's intima line; with a small one only the adventitia is seen.
        roughness: how much the strength of a specular line changes from point to point, as a part of it.
        edge_mm: how far above the half-rise of its echo the media-adventitia boundary is marked.
        jugular: a vein cut lengthwise above the artery; None: none.
        cross_sections: vessels cut across, in a frame without a far wall.
        muscles: layers of muscle that fill such a frame.
    """

    ghosts: tuple[tuple[float, float], ...] = ()
    haze: float | None = None
    haze_patch_mm: float = 2.0
    vein_rim: float = 0.0
    sheaths: tuple[Sheath, ...] = ()
    intima: float = 1.0
    roughness: float = 0.45
    edge_mm: float = 0.0
    jugular: Jugular | None = None
    cross_sections: tuple[CrossSection, ...] = ()
    muscles: tuple[MuscleLayer, ...] = ()


def draw_artefacts(rng: np.random.Generator, width_mm: float, depth_mm: float, kind: Kind) -> Artefacts:
    """Artefacts from wide ranges; about a third of the frames have a clean lumen, half have no sheath.

    Args:
        rng: source of randomness.
        width_mm: of the scan area.
        depth_mm: of the scan area.
        kind: of the anatomy; frames without a far wall show vessels that are cut across, or muscles, or neither.
    """
    ghosts: tuple[tuple[float, float], ...] = ()
    if rng.random() < 0.35:
        step, strength = rng.uniform(0.6, 2.5), rng.uniform(0.05, 0.5)
        ghosts = tuple((float(step * n), float(strength * 0.5 ** (n - 1))) for n in range(1, int(rng.integers(2, 5))))
    without_wall = rng.random() if kind == "no_wall" else 1.0
    across = draw_cross_sections(rng, width_mm, depth_mm) if without_wall < 0.4 else ()
    muscles = draw_muscles(rng, depth_mm) if 0.4 <= without_wall < 0.9 else ()
    faint = rng.random() < 0.35
    return Artefacts(
        ghosts=ghosts,
        haze=float(rng.uniform(-46.0, -26.0)) if rng.random() < 0.4 else None,
        haze_patch_mm=float(rng.uniform(0.8, 4.0)),
        vein_rim=float(rng.uniform(0.1, 0.9)) if rng.random() < 0.8 else 0.0,
        sheaths=tuple(_draw_sheath(rng, depth_mm) for _ in range(int(rng.choice([0, 0, 1, 2])))),
        intima=_THICK_INTIMA if kind in ("plaque", "thickened") else float(rng.uniform(0.03, 0.6)) if faint else 1.0,
        roughness=float(rng.uniform(0.3, 1.2)),
        edge_mm=_EDGE_MM,
        jugular=draw_jugular(rng) if rng.random() < 0.4 and not across and not muscles else None,
        cross_sections=across,
        muscles=muscles,
    )


def _draw_sheath(rng: np.random.Generator, depth_mm: float) -> Sheath:
    left = rng.uniform(4.0, depth_mm)
    return Sheath(
        left_mm=float(left),
        right_mm=float(left + rng.normal(0.0, 3.0)),
        bow_mm=float(rng.normal(0.0, 0.8)),
        band_mm=float(rng.uniform(0.3, 1.8)),
        band_db=float(rng.uniform(-8.0, 4.0)),
        muscle_mm=float(rng.uniform(2.5, 12.0)),
        muscle_db=float(rng.uniform(-44.0, -22.0)),
        line=float(rng.uniform(0.1, 0.8)) if rng.random() < 0.4 else 0.0,
        line_mm=float(rng.uniform(0.4, 1.2)),
    )


def ghosts(artefacts: Artefacts, depth: Field, near: Field, strength: Field) -> Field | float:
    """Amplitude (W, H) of the near wall's repeated echoes, before they are confined to the lumen.

    Args:
        artefacts: of the frame.
        depth: depth of each row (1, H), mm.
        near: end of the near wall (W, 1), mm.
        strength: of its specular line (W, 1), 0..1.

    >>> lumen = ghosts(Artefacts(ghosts=((1.0, 0.5),)), np.array([[5.0, 6.0]]), np.array([[5.0]]), np.array([[0.8]]))
    >>> np.round(lumen, 3).tolist()
    [[0.0, 0.4]]
    """
    return sum(
        (part * strength * np.exp(-(((depth - near - delay) / 0.08) ** 2)) for delay, part in artefacts.ghosts), 0.0
    )


def haze_db(artefacts: Artefacts, shape: tuple[int, int], spacing_mm: float, rng: np.random.Generator) -> Field | float:
    """Level of the fog in the lumen in dB (W, H), patchy by about ±6 dB; −∞ without one."""
    if artefacts.haze is None:
        return -np.inf
    coarse = rng.standard_normal((shape[0] // 4 + 1, shape[1] // 4 + 1)).astype(np.float32)
    patches = gaussian_filter(coarse, artefacts.haze_patch_mm / spacing_mm / 4)
    patches *= 6.0 / max(float(patches.std()), 1e-6)
    return artefacts.haze + np.kron(patches, np.ones((4, 4), dtype=np.float32))[: shape[0], : shape[1]]


def sheath_level(sheath: Sheath, depth: Field, streaks_db: Field) -> tuple[Field, Field]:
    """What a sheath puts in place of the tissue.

    Args:
        sheath: the muscle and its band.
        depth: depth of each row (1, H), mm.
        streaks_db: texture of the muscle (W, H), dB around 0.

    Returns:
        Level in dB (W, H), NaN where the tissue stays, and amplitude of the thin line (W, H).
    """
    x = np.linspace(-0.5, 0.5, len(streaks_db))[:, None]
    band = sheath.left_mm + (sheath.right_mm - sheath.left_mm) * (x + 0.5) + sheath.bow_mm * (1 - 4 * x**2)
    above = band - depth
    level = np.full(streaks_db.shape, np.nan)
    muscle = (above > 0) & (above < sheath.muscle_mm)
    level[muscle] = (sheath.muscle_db + streaks_db)[muscle]
    level[(above <= 0) & (above > -sheath.band_mm)] = sheath.band_db
    return level, sheath.line * np.exp(-(((above - sheath.line_mm) / 0.05) ** 2))


def vein_rim(artefacts: Artefacts, radius: Field, semi_axis_mm: float, facing: Field) -> Field:
    """Amplitude (W, H) of the vein's wall: bright where it faces the beam, above and below the lumen.

    Args:
        artefacts: of the frame.
        radius: distance from the vein's centre in its own half-axes (W, H); 1 on the wall.
        semi_axis_mm: its half-axis along the depth.
        facing: 0..1 (W, H), how much the wall faces the beam.

    >>> wall = vein_rim(Artefacts(vein_rim=0.5), np.array([[1.0, 3.0]]), 2.0, np.array([[1.0, 1.0]]))
    >>> np.round(wall, 3).tolist()
    [[0.5, 0.0]]
    """
    return artefacts.vein_rim * facing * np.exp(-((((radius - 1.0) * semi_axis_mm) / 0.12) ** 2))
