"""By how much the log-odds of a layer are to be raised, so that masks become as thick as what an expert draws."""

from collections.abc import Iterable
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit

from sequal.anatomy.measurement import boundaries_from_mask, boundaries_from_probability

__all__ = ["matching_offset", "thicker_than_drawn"]

#: Offsets of the log-odds that are tried; between them the thickness is nearly linear.
_OFFSETS: Final = (-1.5, 0.0, 1.5)
#: Columns in which both must be seen before a frame says anything.
_COLUMNS: Final = 8
#: Frames that stand for no offset at all.
_PRIOR_FRAMES: Final = 2
#: Readers differ by tenths of a millimetre: a frame that differs by more from most frames shows something else.
_OUTLIER_MM: Final = 0.3


def thicker_than_drawn(
    probability: NDArray[np.float32], label: NDArray[np.uint8], pixel_mm: float
) -> tuple[float, ...] | None:
    """How much thicker a layer is than its label, mean over the columns in which both have it.

    Args:
        probability: float32 (W, H) in 0..1, 0 where no layer is shown.
        label: uint8 (W, H) in {0, 1, 255}.
        pixel_mm: height of a pixel.

    Returns:
        Millimetres for each offset of the log-odds that is tried; None with too few columns.
    """
    drawn, found = boundaries_from_mask(label), []
    for offset in _OFFSETS:
        shown = boundaries_from_probability(expit(logit(probability) + np.float32(offset)))
        both = shown.measured & drawn.measured
        if int(both.sum()) < _COLUMNS:
            return None
        thicker = (shown.ma - shown.li) - (drawn.ma - drawn.li)
        found.append(pixel_mm * float(thicker[both].mean()))
    return tuple(found)


def matching_offset(frames: Iterable[tuple[float, ...]]) -> float:
    """The offset of the log-odds at which masks are as thick as the labels, mean over the frames.

    Soft Dice makes a thin layer thicker than the labels have it (Bertels et al., MICCAI 2019), and the mean with the
    starting weights keeps some of theirs. Few frames say little, because readers differ from frame to frame: the offset
    is drawn towards 0. A frame whose mask is far thicker or thinner than its label, against most frames, says nothing:
    one label drawn by mistake would make all masks wrong.

    Args:
        frames: of each what `thicker_than_drawn` says.

    >>> matching_offset([(-0.03, 0.03, 0.09), (-0.03, 0.03, 0.09)])
    -0.375
    """
    seen = np.array(list(frames), dtype=np.float64).reshape(-1, len(_OFFSETS))
    if len(seen):
        now = seen[:, _OFFSETS.index(0.0)]
        seen = seen[np.abs(now - np.median(now)) <= _OUTLIER_MM]
    if not len(seen):
        return 0.0
    mean = seen.mean(axis=0)
    if not (np.diff(mean) > 0).all():
        return 0.0
    return float(np.interp(0.0, mean, _OFFSETS)) * len(seen) / (len(seen) + _PRIOR_FRAMES)
