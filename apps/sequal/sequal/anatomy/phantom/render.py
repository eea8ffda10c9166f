"""From an anatomy and a scanner to grey values: scatterers, point spread function, envelope, log compression.

The image of a linear array is taken as a complex scatterer field convolved with a separable Gaussian envelope (the
baseband of the pulse along the depth, the beam across), as in Field II's linear model without its beam forming.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, gaussian_filter1d, map_coordinates

from sequal.anatomy.phantom.anatomy import SAMPLES, Anatomy, smooth_curve
from sequal.anatomy.phantom.artefacts import Artefacts, ghosts, haze_db, sheath_level, vein_rim
from sequal.anatomy.phantom.cross_section import ring_level
from sequal.anatomy.phantom.jugular import jugular_level
from sequal.anatomy.phantom.muscle import muscle_level
from sequal.anatomy.phantom.scanner import Scanner

__all__ = ["render"]

Field = NDArray[np.float32]

#: Log compression and smoothing let an edge appear this much higher still (half-rise of the mean grey profile).
_DISPLAY_MM = 0.05


def render(
    anatomy: Anatomy, scanner: Scanner, rng: np.random.Generator, artefacts: Artefacts | None = None
) -> NDArray[np.uint8]:
    """Grey values uint8 (W, H) of the scan area.

    Args:
        anatomy: what lies under the probe.
        scanner: how it is seen.
        rng: speckle and noise; the anatomy's own texture comes from its seed.
        artefacts: echoes beside those of the anatomy; None: none.
    """
    width, height = scanner.shape
    columns = np.linspace(0, SAMPLES - 1, width)
    curve = {name: np.interp(columns, np.arange(SAMPLES), getattr(anatomy, name)) for name in _CURVES}
    depth = (np.arange(height, dtype=np.float32) * np.float32(scanner.spacing_mm))[None, :]
    artefacts = artefacts or Artefacts()
    level, lines = _echo_levels(anatomy, curve, depth, scanner, artefacts)
    looks = [_envelope(level, lines, scanner, rng, artefacts.roughness) for _ in range(scanner.looks)]
    envelope = np.sqrt(np.mean(np.square(looks), axis=0))
    noise = 10 ** (scanner.noise_db / 20) * np.hypot(*rng.standard_normal((2, width, height)).astype(np.float32))
    below = depth > curve["near_mm"][:, None]
    attenuation = -curve["shadow_db"][:, None] * below + scanner.tgc_db * depth / scanner.depth_mm
    db = 20.0 * np.log10(envelope * 10 ** (attenuation / 20) + noise + 1e-6)
    white = (
        np.percentile(db[::4, ::4], 99.3) - scanner.gain_db + (14.0 if anatomy.kind == "low_gain" else 0.0)
    )  # an operator turns the brightest tissue to white
    grey = np.clip((db - white) / scanner.dynamic_range_db + 1.0, 0.0, 1.0)
    grey = grey**scanner.gamma
    if scanner.smoothing_px > 0:
        grey = gaussian_filter(grey, scanner.smoothing_px)
    return np.round(grey * 255.0).astype(np.uint8)


_CURVES = ("near_mm", "li_mm", "ma_mm", "in_plane", "strength", "shadow_db")


def _echo_levels(
    anatomy: Anatomy,
    curve: dict[str, NDArray[np.float64]],
    depth: Field,
    scanner: Scanner,
    artefacts: Artefacts,
) -> tuple[Field, Field]:
    """Amplitude of diffuse scatterers and of specular lines, (W, H) each; 1 is bright tissue."""
    rng = np.random.default_rng(anatomy.seed)
    width, height = len(curve["near_mm"]), depth.shape[1]
    texture = _texture(rng, width, height, scanner.spacing_mm)
    db = rng.uniform(-34.0, -18.0) + texture
    db = db + np.where(depth < rng.uniform(0.8, 2.0), rng.uniform(4.0, 12.0), 0.0)  # skin
    fat = rng.uniform(2.0, 7.0)
    db = np.where((depth > 1.5) & (depth < fat), db - rng.uniform(0.0, 7.0), db)
    lines = np.zeros((width, height), dtype=np.float32)
    x = np.linspace(-0.5, 0.5, width)[:, None]
    for left, right, bow, strength in anatomy.fascia:
        at = left + (right - left) * (x + 0.5) + bow * (1 - 4 * x**2)
        at = at + smooth_curve(rng, width, width / 6, 0.15)[:, None]
        wane = np.clip(0.6 + smooth_curve(rng, width, width / 12, 0.5), 0.0, 1.5)[:, None]
        thick = rng.uniform(0.03, 0.18)
        lines += (strength * wane * np.exp(-(((depth - at) / thick) ** 2))).astype(np.float32) * 0.8
    for number, sheath in enumerate(artefacts.sheaths):
        streaks = _texture(np.random.default_rng([anatomy.seed, 2, number]), width, height, scanner.spacing_mm, 0.25)
        in_place, line = sheath_level(sheath, depth, streaks)
        db = np.where(np.isnan(in_place), db, in_place)
        lines = (np.where(np.isnan(in_place), lines, 0.0) + line).astype(np.float32)
    if anatomy.vein is not None:
        centre, half, at, semi_axis = anatomy.vein
        from_centre = np.sqrt(((x - centre) / half) ** 2 + ((depth - at) / semi_axis) ** 2)
        inside = from_centre < 1
        db = np.where(inside, -52.0, db)
        facing = np.abs(depth - at) / semi_axis / np.maximum(from_centre, 1e-3)
        rim = vein_rim(artefacts, from_centre, semi_axis, facing)
        lines = (np.where(inside, 0.0, lines) + rim).astype(np.float32)
    if anatomy.kind == "no_wall":
        if rng.random() < 0.45:  # a vessel cut across
            centre, at = rng.uniform(-0.25, 0.25), rng.uniform(0.3, 0.7) * scanner.depth_mm
            r = rng.uniform(2.2, 4.2)
            radius = np.hypot((x - centre) * scanner.width_mm, depth - at)
            db = np.where(radius < r, rng.uniform(-60.0, -42.0), db)
            rim = np.exp(-(((radius - r - 0.5) / 0.5) ** 2)) * np.abs((depth - at) / np.maximum(radius, 0.1))
            lines = np.where(radius < r, 0.0, lines + 0.8 * rim.astype(np.float32))
        for number, layer in enumerate(artefacts.muscles):
            fibres = np.random.default_rng([anatomy.seed, 3, number])
            streaks = _texture(fibres, width, height, scanner.spacing_mm, 0.25)
            fading = smooth_curve(fibres, width, width / 12, 1.0)
            in_place = muscle_level(layer, depth, streaks, fading)
            db, lines = np.where(np.isnan(in_place), db, in_place), np.where(np.isnan(in_place), lines, 0.0)
        for vessel in artefacts.cross_sections:
            db, lines = ring_level(vessel, x * scanner.width_mm, depth, db, lines)
        return _with_vein(artefacts, curve, depth, db, lines)
    artery_db, artery_lines = _artery(anatomy, curve, depth, scanner, rng, db, lines, artefacts)
    cut: Field = curve["in_plane"][:, None].astype(np.float32)
    tissue_db: NDArray[np.floating[Any]] = np.asarray(db)
    mixed_db: NDArray[np.floating[Any]] = np.add(cut * artery_db, (1.0 - cut) * tissue_db)
    mixed_lines: Field = cut * artery_lines + (1.0 - cut) * lines
    return _with_vein(artefacts, curve, depth, mixed_db, mixed_lines)


def _with_vein(
    artefacts: Artefacts,
    curve: dict[str, NDArray[np.float64]],
    depth: Field,
    db: NDArray[np.floating[Any]],
    lines: NDArray[np.floating[Any]],
) -> tuple[Field, Field]:
    """Amplitudes (W, H) of diffuse scatterers and lines, the jugular vein in front of everything else."""
    if artefacts.jugular is not None:
        db, lines = jugular_level(artefacts.jugular, depth, curve["near_mm"][:, None], db, lines)
    return (10 ** (db / 20)).astype(np.float32), lines.astype(np.float32)


def _artery(
    anatomy: Anatomy,
    curve: dict[str, NDArray[np.float64]],
    depth: Field,
    scanner: Scanner,
    rng: np.random.Generator,
    db: NDArray[np.floating[Any]],
    lines: Field,
    artefacts: Artefacts,
) -> tuple[NDArray[np.floating[Any]], Field]:
    near, li, ma = (curve[name][:, None] for name in ("near_mm", "li_mm", "ma_mm"))
    sigma = scanner.axial_sigma_mm
    slope = np.gradient(curve["ma_mm"]) / (scanner.width_mm / len(curve["ma_mm"]))
    facing = np.exp(-((slope / rng.uniform(0.2, 0.5)) ** 2))[:, None]
    strength = curve["strength"][:, None] * facing
    lumen = (depth > near) & (depth < li)
    blood = rng.uniform(-75.0, -46.0)
    clutter = rng.uniform(-48.0, -20.0) - (depth - near) / rng.uniform(0.25, 1.0) * 6.0
    haze = haze_db(artefacts, scanner.shape, scanner.spacing_mm, np.random.default_rng([anatomy.seed, 1]))
    db = np.where(lumen, np.maximum(np.maximum(blood, clutter), haze), db)
    lines = np.where(lumen, 0.0, lines).astype(np.float32)
    # Near wall, from the lumen upwards: intima line, media, adventitia. Its trailing edges are smeared by the pulse.
    near_media = rng.uniform(0.3, 0.9)
    near_bright = rng.uniform(-12.0, 1.0) + smooth_curve(rng, len(near), len(near) / 12, rng.uniform(0.5, 3.5))[:, None]
    above = near - depth
    db = np.where((above > 0) & (above < near_media), rng.uniform(-26.0, -14.0), db)
    db = np.where((above >= near_media) & (above < near_media + rng.uniform(0.5, 1.6)), near_bright, db)
    lines = lines + rng.uniform(0.05, 0.5) * strength * _line(depth, near - 0.5 * sigma, 0.04)
    # Far wall. Readers trace leading edges; in a log-compressed image a thin line's edge is seen about 1.4 sigma above
    # its centre, that of a bright half-space where its amplitude is half.
    wall = (depth >= li) & (depth < ma)
    imt = ma - li
    thick = np.clip((imt - 1.3) / 0.5, 0.0, 1.0)
    media = rng.uniform(-32.0, -17.0) * (1 - thick) + anatomy.plaque_db * thick - 8.0 * thick
    db = np.where(wall, media, db)
    intima = artefacts.intima * rng.uniform(0.12, 0.9) * strength * _line(depth, li + 1.4 * sigma + _DISPLAY_MM, 0.04)
    start = ma + 0.4 * sigma + _DISPLAY_MM + artefacts.edge_mm
    decay = np.maximum(depth - start, 0.0) / anatomy.adventitia_mm
    adventitia = rng.uniform(-5.0, 4.0) - 14.0 * np.clip(decay, 0.0, 1.6) ** 1.3
    behind = (depth >= start) & (decay < 1.6)
    patchy = smooth_curve(rng, len(strength), len(strength) / 25, 2.0)[:, None]
    db = np.where(behind, np.maximum(db, adventitia + patchy + 6.0 * (strength - 0.8)), db)
    db = np.where((depth >= ma) & (depth < start), media, db)
    lines = np.where(wall, 0.0, np.where(lumen, ghosts(artefacts, depth, near, strength), lines)) + intima
    lines = lines + rng.uniform(0.2, 1.2) * strength * _line(depth, start + 0.05, 0.05)
    if anatomy.kind == "plaque" and anatomy.plaque_db > 3.0:  # calcified: bright cap, dark behind
        cap = np.clip((imt - 1.4) / 0.4, 0.0, 1.0)
        lines = lines + cap * _line(depth, li + 1.4 * sigma + _DISPLAY_MM, 0.12)
        db = np.where((depth > li + 0.5), db - 10.0 * cap, db)
    return db, lines.astype(np.float32)


def _line(depth: Field, at: NDArray[np.floating[Any]], thickness_mm: float) -> NDArray[np.floating[Any]]:
    return np.exp(-(((depth - at) / thickness_mm) ** 2))


def _texture(rng: np.random.Generator, width: int, height: int, spacing_mm: float, slope_sd: float = 0.06) -> Field:
    """Muscle and connective tissue: streaks along the fibres, whose slope is drawn, and slow changes, dB."""
    coarse = rng.standard_normal((width // 4 + 2, height // 4 + 2)).astype(np.float32)
    along, across = rng.uniform(0.4, 4.0), rng.uniform(0.08, 0.4)
    streaks = gaussian_filter(coarse, (along / spacing_mm / 4, max(across / spacing_mm / 4, 0.5)))
    slow = gaussian_filter(coarse, (3.0 / spacing_mm / 4, 2.0 / spacing_mm / 4))
    field = rng.uniform(2.0, 6.0) * streaks / streaks.std() + rng.uniform(1.0, 4.0) * slow / slow.std()
    rows = np.linspace(0, field.shape[0] - 1, width)
    tilt = rng.normal(0.0, slope_sd)
    ys = np.linspace(0, field.shape[1] - 1, height)[None, :] + tilt * (rows - rows.mean())[:, None]

    xs = np.broadcast_to(rows[:, None], (width, height))
    return map_coordinates(field, [xs, ys], order=1, mode="reflect").astype(np.float32)


def _envelope(level: Field, lines: Field, scanner: Scanner, rng: np.random.Generator, roughness: float) -> Field:
    """|scatterers ⊗ PSF|, normalised so that level 1 gives a mean-square envelope of 1."""
    width, height = level.shape
    noise = rng.standard_normal((2, width, height)).astype(np.float32) / np.float32(np.sqrt(2.0))
    phase = smooth_curve(rng, width, max(width / 30, 2.0), 0.7)[:, None].astype(np.float32)
    rough = 1.0 + np.float32(roughness) * noise
    sigma = scanner.axial_sigma_mm / scanner.spacing_mm
    parts = []
    for part, turn in ((0, np.cos(phase)), (1, np.sin(phase))):
        diffuse = _blur(level * noise[part], scanner, sigma)
        # A line of amplitude 1 keeps its peak whatever the length of the pulse.
        specular = _blur(lines * turn * rough[part], scanner, sigma, keep_peak=True)
        parts.append(diffuse + specular)
    envelope: Field = np.hypot(*parts)
    return envelope


def _blur(field: Field, scanner: Scanner, sigma: float, *, keep_peak: bool = False) -> Field:
    axial = gaussian_filter1d(field, sigma, axis=1, mode="nearest")
    height = field.shape[1]
    out = np.zeros_like(axial)
    centres = np.linspace(0.0, height - 1.0, 3)
    for centre in centres:
        lateral = scanner.lateral_sigma_mm(centre * scanner.spacing_mm) / scanner.spacing_mm
        # White noise of variance 1 keeps its variance under this scale; a line keeps its amplitude.
        scale = 1.0 if keep_peak else np.sqrt(4.0 * np.pi * sigma * lateral)
        gap = centres[1] - centres[0]
        weight = np.clip(1.0 - np.abs(np.arange(height) - centre) / gap, 0.0, 1.0).astype(np.float32)
        band = weight > 0
        out[:, band] += scale * weight[band] * gaussian_filter1d(axial[:, band], lateral, axis=0, mode="nearest")
    if keep_peak:
        thickness = 0.05 * np.sqrt(np.pi) / scanner.spacing_mm
        out *= np.sqrt(2 * np.pi) * sigma / thickness * 0.5 + 0.5
    return out
