"""One frame stored as two identical slices, the form of a still image that OHIF can segment."""

from typing import TypeGuard

import numpy as np
from numpy.typing import NDArray

from sequal.labels import BACKGROUND

__all__ = ["COPIES", "is_duplicated", "merge_copies"]

#: OHIF needs two slices for a volume; three or more frames are a clip, whatever they show.
COPIES = 2


def is_duplicated(pixels: NDArray[np.float32]) -> bool:
    """Whether an image is one frame stored twice.

    Args:
        pixels: `(W, H, F)`.

    >>> is_duplicated(np.ones((4, 3, 2), np.float32)), is_duplicated(np.ones((4, 3, 3), np.float32))
    (True, False)
    """
    return pixels.shape[2] == COPIES and np.array_equal(pixels[:, :, 0], pixels[:, :, 1])


def merge_copies(label: NDArray[np.uint8], shown: NDArray[np.uint8] | None = None) -> NDArray[np.uint8]:
    """The one label of a frame that is stored twice.

    A brush changes only the slice that it is used on: the edited slice is the label, so that what was drawn and what
    was erased both count. When both were edited, each pixel takes the value that differs from what was shown.

    Args:
        label: Uint8 `(W, H, 2)`.
        shown: Uint8 `(W, H)`, the mask that both slices held before, if it is known. It may be out of date: it is
            left aside when neither slice has most of its foreground.

    Returns:
        Uint8 `(W, H, 1)`. Without knowing what was shown: the slice that is not empty, or whatever is drawn on either.

    >>> shown = np.array([[1, 1, 0]], np.uint8)
    >>> edited = np.array([[[1, 0], [1, 1], [0, 1]]], np.uint8)  # on the second slice: one erased, one drawn
    >>> merge_copies(edited, shown)[:, :, 0].tolist()
    [[0, 1, 1]]
    >>> merge_copies(edited)[:, :, 0].tolist()
    [[1, 1, 1]]
    """
    first, second = label[:, :, 0], label[:, :, 1]
    if shown is not None and shown.shape == first.shape:
        for slice_, other in ((first, second), (second, first)):
            if np.array_equal(slice_, shown):
                return other[:, :, None]
    for slice_, other in ((first, second), (second, first)):
        if not slice_.any():
            return other[:, :, None]
    before = shown if _is_the_base(shown, first, second) else np.full_like(first, BACKGROUND)
    return np.where(first != before, first, second)[:, :, None]


def _is_the_base(
    shown: NDArray[np.uint8] | None, first: NDArray[np.uint8], second: NDArray[np.uint8]
) -> TypeGuard[NDArray[np.uint8]]:
    """Whether two slices that were both edited began as `shown`."""
    if shown is None or shown.shape != first.shape or not shown.any():
        return False
    kept = (first == shown) | (second == shown)
    return bool(kept[shown != BACKGROUND].mean() > 0.5)
