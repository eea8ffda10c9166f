"""Which pixels of an expert's label of a layer carry supervision."""

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from sequal.labels import IGNORE, INTIMA_MEDIA

__all__ = ["apply_supervision"]


def apply_supervision(label: NDArray[np.uint8], supervision: Literal["columns", "full"]) -> NDArray[np.uint8]:
    """Say which pixels of an expert's label carry supervision.

    A layer crosses the image from side to side, so with `columns` a column (fixed x) in which the expert drew
    nothing is unknown, not background. With `full` every pixel that is not IGNORE counts.

    Args:
        label: uint8 (W, H) in {0, 1, 255}.
        supervision: which rule.

    >>> apply_supervision(np.array([[0, 1], [0, 0]], dtype=np.uint8), "columns").tolist()
    [[0, 1], [255, 255]]
    """
    if supervision == "full":
        return label
    out = label.copy()
    out[~(label == INTIMA_MEDIA).any(axis=1)] = IGNORE
    return out
