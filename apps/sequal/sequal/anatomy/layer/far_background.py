"""Background that follows from a partly traced layer: far above and below where it can continue."""

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sequal.labels import BACKGROUND, IGNORE, INTIMA_MEDIA

__all__ = ["far_background"]

#: The layer may be this much thicker on either side in an unknown column than in the nearest drawn one.
_MARGIN_MM: Final = 1.5


def far_background(
    label: NDArray[np.uint8], spacing_mm: tuple[float, float], max_angle_deg: float
) -> NDArray[np.uint8]:
    """Mark as background what a layer no steeper than `max_angle_deg` cannot reach from the nearest drawn columns.

    A column in which nothing was drawn is unknown, and so are the margins of the picture beside the scan: a network
    that is never told about them fills them, and fusion then writes that into the labels. But a wall is continuous.
    With d the distance to the nearest drawn column on either side, it lies within 1.5 mm + d · tan(`max_angle_deg`)
    of the layer there; where neither side allows it, an unknown pixel becomes background.

    Args:
        label: uint8 (W, H) in {0, 1, 255}; only 255 is changed.
        spacing_mm: (dx, dy) of a pixel.
        max_angle_deg: steepest wall against the horizontal, in 0..90; from 90 on nothing is marked.

    Returns:
        uint8 (W, H), a new array; as given where no column is drawn.
    """
    drawn = label == INTIMA_MEDIA
    columns = np.flatnonzero(drawn.any(axis=1))
    out = label.copy()
    if not columns.size or max_angle_deg >= 90:
        return out
    dx, dy = spacing_mm
    width, height = label.shape
    slope = math.tan(math.radians(max_angle_deg)) * dx / dy
    top = drawn.argmax(axis=1)
    bottom = height - 1 - drawn[:, ::-1].argmax(axis=1)
    x, y = np.arange(width), np.arange(height)
    after = np.searchsorted(columns, x)
    reachable = np.zeros(label.shape, dtype=bool)
    for nearest, exists in ((after - 1, after > 0), (after, after < columns.size)):
        at = columns[np.clip(nearest, 0, columns.size - 1)]
        reach = _MARGIN_MM / dy + slope * np.abs(x - at)
        within = (y >= (top[at] - reach)[:, None]) & (y <= (bottom[at] + reach)[:, None])
        reachable |= within & exists[:, None]
    out[(out == IGNORE) & ~reachable] = BACKGROUND
    return out
