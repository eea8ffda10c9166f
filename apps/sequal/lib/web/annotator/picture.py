"""A frame as a PNG for a browser."""

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sequal.preparation.normalisation import normalise_intensity

__all__ = ["frame_picture"]

_WHITE = 255.0


def frame_picture(pixels: NDArray[np.float32]) -> bytes:
    """The PNG of one frame, a grey value a pixel.

    Values that already are 8-bit grey are shown as they are; others are scaled as the networks see them.

    Args:
        pixels: `(W, H)`, raw intensities.

    Returns:
        The file, 8 bit, one channel.
    """
    low, high = float(pixels.min()), float(pixels.max())
    grey = pixels if low >= 0.0 and 1.0 < high <= _WHITE else _WHITE * normalise_intensity(pixels)
    file = io.BytesIO()
    Image.fromarray(np.round(grey).astype(np.uint8).T).save(file, "PNG", compress_level=1)
    return file.getvalue()
