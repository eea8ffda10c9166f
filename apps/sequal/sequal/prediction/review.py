"""Where an annotator should look: the area in which a mask is expected to be wrong."""

from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

__all__ = ["review_area"]

#: The positive weight of the branch's training lies in its odds no more, so that errors rarely reach one half. On the
#: real development frames 0.2 to 0.3 overlaps best with the true errors.
_WRONG: Final = 0.3
#: Smaller areas are specks: 0.3 by 0.3 mm of a frame, 0.05 ml of a volume.
_SPECK_MM2: Final = 0.09
_SPECK_MM3: Final = 50.0


def review_area(error: NDArray[np.float32], pixel_mm: tuple[float, ...]) -> NDArray[np.uint8]:
    """The area where what is shown is expected to be wrong, without specks.

    Args:
        error: probability that what is shown is wrong, float32 0..1; (W, H, F) with two sizes, else (X, Y, Z).
        pixel_mm: size of a pixel (dx, dy) of frames, which are looked at one by one, or of a voxel (dx, dy, dz).

    Returns:
        uint8 of that shape, 1 in the area, 0 elsewhere.

    >>> error = np.zeros((8, 8, 1), np.float32)
    >>> error[:3, :3], error[6, 6] = 0.5, 0.9
    >>> review_area(error, (0.1, 0.1)).sum(), review_area(error, (0.1, 0.1))[6, 6, 0]
    (9, 0)
    """
    smallest = (_SPECK_MM2 if len(pixel_mm) == 2 else _SPECK_MM3) / float(np.prod(pixel_mm))
    within = np.ones((3, 3, 3), dtype=bool)
    if len(pixel_mm) == 2:
        within[:, :, (0, 2)] = False  # frames of a clip are not joined
    pieces, count = ndimage.label(error > _WRONG, within)
    sizes = np.bincount(pieces.ravel(), minlength=count + 1)
    large = sizes >= smallest - 1e-9
    large[0] = False
    area: NDArray[np.uint8] = large[pieces].astype(np.uint8)
    return area
