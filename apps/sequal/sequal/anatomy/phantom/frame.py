"""One simulated frame, with the boundaries of its far wall known to a fraction of a pixel."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from sequal.anatomy.phantom.anatomy import SAMPLES, Anatomy, Kind, draw_anatomy, draw_kind, traceable
from sequal.anatomy.phantom.artefacts import Artefacts, draw_artefacts
from sequal.anatomy.phantom.display import Display, draw_display, scan_sides, show
from sequal.anatomy.phantom.overlay import burn_in, draw_panels, place_on_screen
from sequal.anatomy.phantom.population import adult_wall
from sequal.anatomy.phantom.render import render
from sequal.anatomy.phantom.scanner import Scanner, draw_scanner

__all__ = ["PhantomFrame", "mask_from_boundaries", "simulate_frame"]


@dataclass(frozen=True)
class PhantomFrame:
    """A simulated B-mode screen.

    Attributes:
        pixels: uint8 (W, H).
        spacing_mm: (dx, dy).
        li: float64 (W,), depth of the lumen-intima boundary in pixels, NaN where the far wall is not in view.
        ma: float64 (W,), depth of the media-adventitia boundary.
        kind: what is special about the frame.
    """

    pixels: NDArray[np.uint8]
    spacing_mm: tuple[float, float]
    li: NDArray[np.float64]
    ma: NDArray[np.float64]
    kind: Kind

    @cached_property
    def mask(self) -> NDArray[np.uint8]:
        """uint8 (W, H), 1 inside the intima-media layer."""
        return mask_from_boundaries(self.li, self.ma, self.pixels.shape[1])


def mask_from_boundaries(li: NDArray[np.float64], ma: NDArray[np.float64], height: int) -> NDArray[np.uint8]:
    """uint8 (W, height): pixel y is inside when li <= y < ma, so that counting pixels is unbiased; NaN gives none.

    >>> mask_from_boundaries(np.array([1.0, np.nan]), np.array([2.5, np.nan]), 4).tolist()
    [[0, 1, 1, 0], [0, 0, 0, 0]]
    """
    y = np.arange(height)[None, :]
    return ((y >= li[:, None]) & (y < ma[:, None])).astype(np.uint8)


def simulate_frame(
    rng: np.random.Generator,
    *,
    kind: Kind | None = None,
    scanner: Scanner | None = None,
    anatomy: Anatomy | None = None,
    screen: bool = True,
    display: Display | None = None,
    artefacts: Artefacts | None = None,
) -> PhantomFrame:
    """Simulate one frame; what is not given is drawn at random.

    Args:
        rng: the only source of randomness.
        kind: what the anatomy must show.
        scanner: probe and display.
        anatomy: what lies under the probe; then `kind` is not used.
        display: how the scan area is shown; drawn only where the scanner is drawn too, else plain.
        artefacts: echoes beside the anatomy's; drawn only where the scanner is drawn too, else none.
        screen: add margins and burned-in text as a scanner shows them; without, the bare scan area.
    """
    # Spawned streams: the frame's own draws stay the same with and without a display, artefacts and panels.
    shown, echoes, around, wall = rng.spawn(4)
    drawn = scanner is None
    if display is None:
        display = draw_display(shown) if drawn else Display()
    scanner = scanner or draw_scanner(rng)
    if anatomy is None:
        anatomy = draw_anatomy(rng, kind or draw_kind(rng), scanner.width_mm, scanner.depth_mm)
        if drawn:
            anatomy = adult_wall(anatomy, wall)
    if artefacts is None:
        artefacts = draw_artefacts(echoes, scanner.width_mm, scanner.depth_mm, anatomy.kind) if drawn else Artefacts()
    area = show(render(anatomy, scanner, rng, artefacts), display)
    width, height = area.shape
    columns = np.linspace(0, SAMPLES - 1, width)
    seen = traceable(anatomy, scanner.depth_mm)[np.round(columns).astype(int)]
    li, ma = (
        np.where(seen, np.interp(columns, np.arange(SAMPLES), curve) / scanner.spacing_mm, np.nan)
        for curve in (anatomy.li_mm, anatomy.ma_mm)
    )
    cut = _cut_away(li, display, height) | _cut_away(ma, display, height)
    li[cut], ma[cut] = np.nan, np.nan
    place = (0, 0)
    if screen:
        area, place = place_on_screen(area, rng)
        if drawn and around.random() < 0.25:
            area = draw_panels(area, place, (width, height), around)
        area = burn_in(area, place, (width, height), scanner.spacing_mm, rng)
    full_li, full_ma = np.full(area.shape[0], np.nan), np.full(area.shape[0], np.nan)
    full_li[place[0] : place[0] + width] = li + place[1]
    full_ma[place[0] : place[0] + width] = ma + place[1]
    return PhantomFrame(area, (scanner.spacing_mm, scanner.spacing_mm), full_li, full_ma, anatomy.kind)


def _cut_away(curve: NDArray[np.float64], display: Display, height: int) -> NDArray[np.bool_]:
    """Columns (W,) in which a boundary lies outside the slanted sides; a NaN is not cut."""
    columns, rows = np.arange(len(curve)), np.arange(height)
    left, right = (np.interp(curve, rows, side) for side in scan_sides(display, len(curve), height))
    return np.isfinite(curve) & ((columns < left) | (columns > right))
