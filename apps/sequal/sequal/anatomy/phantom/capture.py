"""What a frame grabber and an archive make of a screen: levels, blur across the lines, noise, JPEG."""

from dataclasses import dataclass
from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import gaussian_filter1d

__all__ = ["Capture", "capture"]

Picture = NDArray[np.uint8]


@dataclass(frozen=True)
class Capture:
    """How a screen is recorded; the default changes nothing.

    Attributes:
        black: grey value that black becomes; negative: all that is darker than its size is lost.
        white: grey value that white becomes; over 255: all that is brighter is lost.
        gamma: of the recording; under 1 dark tissue becomes brighter.
        blur_px: blur along the lines of the video, sigma in pixels.
        noise: standard deviation of the recording's noise, grey values.
        quality: of the JPEG file, 1 to 95; 0 for none.
    """

    black: float = 0.0
    white: float = 255.0
    gamma: float = 1.0
    blur_px: float = 0.0
    noise: float = 0.0
    quality: int = 0


def capture(screen: Picture, how: Capture, rng: np.random.Generator) -> Picture:
    """The recorded screen, uint8 (W, H).

    Args:
        screen: uint8 (W, H).
        how: it is recorded.
        rng: of the noise.

    >>> grey = np.arange(4, dtype=np.uint8).reshape(2, 2)
    >>> bool((capture(grey, Capture(), np.random.default_rng(0)) == grey).all())
    True
    """
    part = (screen.astype(np.float32) / 255.0) ** how.gamma
    grey = how.black + part * (how.white - how.black)
    if how.blur_px > 0:
        grey = gaussian_filter1d(grey, how.blur_px, axis=0)
    if how.noise > 0:
        grey = grey + how.noise * rng.standard_normal(grey.shape).astype(np.float32)
    recorded = np.round(np.clip(grey, 0.0, 255.0)).astype(np.uint8)
    return _as_jpeg(recorded, how.quality) if how.quality else recorded


def _as_jpeg(picture: Picture, quality: int) -> Picture:
    buffer = BytesIO()
    Image.fromarray(np.ascontiguousarray(picture.T)).save(buffer, "JPEG", quality=quality)
    with Image.open(buffer) as stored:
        return np.ascontiguousarray(np.asarray(stored).T)
