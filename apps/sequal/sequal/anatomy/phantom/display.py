"""What differs between displays of the same echoes: edge filter, grey levels, lossy storage, slanted sides."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.fft import dctn, idctn
from scipy.ndimage import gaussian_filter, median_filter

__all__ = ["Display", "draw_display", "scan_sides", "show"]

Picture = NDArray[np.uint8]
#: Side of the blocks that lossy storage transforms, as in JPEG.
BLOCK = 8


@dataclass(frozen=True)
class Display:
    """How a scan area reaches the screen; the default changes nothing.

    Attributes:
        despeckling_px: side of the median filter that takes speckle out, pixels; 0 for none.
        sharpening: weight of the unsharp mask (edge enhancement), 0 for none.
        grey_levels: number of grey levels, 2 to 256.
        block_step: quantisation step of 8x8 cosine blocks at the lowest frequency, grey values; 0 for none.
        left: how far the left side of the scan area lies inside at the top and at the bottom, as parts of the width.
        right: the same of the right side.
    """

    sharpening: float = 0.0
    grey_levels: int = 256
    block_step: float = 0.0
    left: tuple[float, float] = (0.0, 0.0)
    right: tuple[float, float] = (0.0, 0.0)
    despeckling_px: int = 0


def draw_display(rng: np.random.Generator) -> Display:
    """A display from wide ranges; about two in five change nothing."""
    left = right = (0.0, 0.0)
    shape, slant = rng.random(), float(rng.uniform(0.04, 0.18))
    if shape < 0.08:  # virtual convex: wider with depth
        left = right = (slant, 0.0)
    elif shape < 0.16:  # steered: a parallelogram, to either side
        left, right = ((slant, 0.0), (0.0, slant)) if rng.random() < 0.5 else ((0.0, slant), (slant, 0.0))
    return Display(
        sharpening=float(rng.uniform(0.2, 1.2)) if rng.random() < 0.3 else 0.0,
        grey_levels=int(rng.choice([16, 32, 64])) if rng.random() < 0.1 else 256,
        block_step=float(rng.uniform(4.0, 24.0)) if rng.random() < 0.3 else 0.0,
        left=left,
        right=right,
        despeckling_px=int(rng.choice([3, 5])) if rng.random() < 0.25 else 0,
    )


def show(area: Picture, display: Display) -> Picture:
    """Grey values uint8 (W, H) of a scan area as the display shows them, black outside slanted sides.

    >>> area = np.arange(64, dtype=np.uint8).reshape(8, 8)
    >>> bool((show(area, Display()) == area).all())
    True
    """
    grey = area.astype(np.float32)
    if display.despeckling_px > 0:
        grey = median_filter(grey, display.despeckling_px)
    if display.sharpening > 0:
        grey += display.sharpening * (grey - gaussian_filter(grey, 1.5))
    if display.grey_levels < 256:
        step = 255.0 / (display.grey_levels - 1)
        grey = np.round(grey / step) * step
    x, (left, right) = np.arange(area.shape[0])[:, None], scan_sides(display, *area.shape)
    grey = np.where((x >= left) & (x <= right), grey, 0.0)
    if display.block_step > 0:
        grey = _store_with_loss(grey, display.block_step)
    return np.round(np.clip(grey, 0.0, 255.0)).astype(np.uint8)


def scan_sides(display: Display, width: int, height: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """First and last column of the scan area in each row, float64 (H,) each, pixels."""
    rows = np.linspace(0.0, 1.0, height)
    left = (display.left[0] + rows * (display.left[1] - display.left[0])) * (width - 1)
    right = (1.0 - display.right[0] - rows * (display.right[1] - display.right[0])) * (width - 1)
    return left, right


def _store_with_loss(grey: NDArray[np.floating[Any]], step: float) -> NDArray[np.float32]:
    width, height = grey.shape
    padded = np.pad(grey.astype(np.float32), ((0, -width % BLOCK), (0, -height % BLOCK)), mode="edge")
    blocks = padded.reshape(padded.shape[0] // BLOCK, BLOCK, -1, BLOCK)
    i = np.arange(BLOCK, dtype=np.float32)
    steps = (step * (1.0 + 0.5 * (i[:, None] + i[None, :])))[None, :, None, :]
    coded = np.round(dctn(blocks, axes=(1, 3), norm="ortho") / steps) * steps
    return idctn(coded, axes=(1, 3), norm="ortho").reshape(padded.shape)[:width, :height].astype(np.float32)
