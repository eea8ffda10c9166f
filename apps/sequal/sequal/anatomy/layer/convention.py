"""A reader's convention: how much higher or deeper he draws the two boundaries than the starting weights do."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from sequal.anatomy.measurement import boundaries_from_mask
from sequal.labels import IGNORE, INTIMA_MEDIA

__all__ = ["Convention", "offsets"]

#: Columns in which both must be seen before a frame says anything.
_COLUMNS: Final = 8
#: Frames that stand for no convention at all.
_PRIOR_FRAMES: Final = 2
#: Readers differ by tenths of a millimetre (0.3 mm on the usual grid); more is another structure.
_MOST_PX: Final = 5.0


def offsets(mask: NDArray[np.uint8], label: NDArray[np.uint8]) -> tuple[float, float] | None:
    """How much deeper a label has LI and MA than a mask: medians over the columns in which both have them.

    Args:
        mask: uint8 (W, H) in {0, 1}.
        label: uint8 (W, H) in {0, 1, 255}.

    Returns:
        (LI, MA) in pixels, positive: deeper; None with too few columns.
    """
    found, drawn = boundaries_from_mask(mask), boundaries_from_mask(label)
    both = found.measured & drawn.measured
    if int(both.sum()) < _COLUMNS:
        return None
    return float(np.median((drawn.li - found.li)[both])), float(np.median((drawn.ma - found.ma)[both]))


@dataclass(frozen=True)
class Convention:
    """What a reader's boundaries are moved by, in pixels of the working grid; positive: deeper.

    Attributes:
        li_px: lumen-intima.
        ma_px: media-adventitia.
    """

    li_px: float = 0.0
    ma_px: float = 0.0

    @classmethod
    def of(cls, frames: Iterable[tuple[float, float]]) -> Self:
        """From the `offsets` of frames: their medians, drawn towards nothing where there are few.

        >>> Convention.of([(0.0, 2.0), (0.0, 2.0)])
        Convention(li_px=0.0, ma_px=1.0)
        """
        seen = np.array(list(frames), dtype=np.float64).reshape(-1, 2)
        if not len(seen):
            return cls()
        share = len(seen) / (len(seen) + _PRIOR_FRAMES)
        li, ma = np.clip(np.median(seen, axis=0) * share, -_MOST_PX, _MOST_PX)
        return cls(float(li), float(ma))

    def move(self, label: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
        """As `draw`, of a label with unknown pixels: these stay unknown where the layer does not come to them.

        Args:
            label: uint8 (W, H) in {0, 1, 255}.
            rng: source of the draw.
        """
        layer = self.draw((label == INTIMA_MEDIA).astype(np.uint8), rng)
        return np.where((label == IGNORE) & (layer != INTIMA_MEDIA), np.uint8(IGNORE), layer)

    def draw(self, label: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
        """A mask as the reader would have drawn it: parts of a pixel are whole pixels in as many of the draws.

        Args:
            label: uint8 (W, H) in {0, 1}, one layer a column.
            rng: source of the draw.
        """
        if self == Convention():
            return label
        li, ma = (math.floor(offset + rng.random()) for offset in (self.li_px, self.ma_px))
        layer = label == INTIMA_MEDIA
        columns, rows = layer.any(axis=1), np.arange(label.shape[1])
        top = layer.argmax(axis=1) + li
        bottom = label.shape[1] - 1 - layer[:, ::-1].argmax(axis=1) + ma
        bottom = np.maximum(bottom, top)
        inside = (rows >= top[:, None]) & (rows <= bottom[:, None]) & columns[:, None]
        return inside.astype(np.uint8) * np.uint8(INTIMA_MEDIA)
