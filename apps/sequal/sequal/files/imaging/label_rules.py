"""What a label may hold: stray classes are dropped, and an empty label says that there is no layer."""

import logging
from collections.abc import Collection, Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sequal.errors import LabelError
from sequal.files.imaging.frame import Frame
from sequal.labels import BACKGROUND, IGNORE, INTIMA_MEDIA, LABEL_NAMES

__all__ = ["ALLOWED_CLASSES", "check_label", "clean_label", "says_no_layer"]

logger = logging.getLogger(__name__)

ALLOWED_CLASSES: Final = frozenset({BACKGROUND, INTIMA_MEDIA, IGNORE})


def clean_label(
    label: NDArray[np.uint8], allowed: Collection[int] = ALLOWED_CLASSES
) -> tuple[NDArray[np.uint8], dict[int, int]]:
    """Set classes that the app does not know to background.

    Viewers submit every segment, markers and notes included.

    Args:
        label: Uint8, any shape; left as it is.
        allowed: Classes that stay.

    Returns:
        The cleaned copy, and the pixels dropped of each class, ascending.

    >>> clean_label(np.array([0, 1, 3, 3, 255], dtype=np.uint8))
    (array([  0,   1,   0,   0, 255], dtype=uint8), {3: 2})
    """
    classes, counts = np.unique(label, return_counts=True)
    dropped = {int(c): int(n) for c, n in zip(classes, counts, strict=True) if int(c) not in allowed}
    cleaned = np.where(np.isin(label, list(dropped)), np.uint8(BACKGROUND), label) if dropped else label.copy()
    if dropped:
        logger.info("Dropped stray classes of a label (class: pixels): %s", dropped)
    return cleaned, dropped


def says_no_layer(label: NDArray[np.uint8]) -> bool:
    """Whether a label says "no layer in this frame", or in this clip: every pixel of it is background.

    A frame without drawing in a clip that is drawn elsewhere says nothing: it is not annotated.

    Args:
        label: Uint8, the whole label of an image.

    >>> says_no_layer(np.zeros((2, 2), np.uint8)), says_no_layer(np.array([[0, 255]], np.uint8))
    (True, False)
    """
    return bool(label.size) and not label.any()


def check_label(
    label: NDArray[np.uint8],
    frame: Frame,
    dropped: Mapping[int, int] | None = None,
    labels: Mapping[str, int] = LABEL_NAMES,
) -> None:
    """Refuse a label that nothing can be learnt from; to be called on a cleaned label.

    An empty label is one of the labels that say something, see `says_no_layer`.

    Args:
        label: Uint8 `(W, H, F)`.
        frame: Its image.
        dropped: What `clean_label` dropped from it. Where only other segments were drawn, nobody said that there
            is no layer.
        labels: Number of each label of the model by its name.

    Raises:
        LabelError: It lies on another grid, holds an unknown class, or has no pixel of a
            label although something was drawn, or a part was not annotated.
    """
    if label.shape != frame.grid:
        raise LabelError(
            f"Expected the label of {frame.source.name} to have the size of its frame, "
            f"{' x '.join(map(str, frame.grid))}, got {' x '.join(map(str, label.shape))}. "
            "Draw the label on the image it belongs to."
        )
    classes = {int(value) for value in np.unique(label)}
    allowed = {BACKGROUND, IGNORE, *labels.values()}
    names = " or ".join(f"{name} ({number})" for name, number in labels.items())
    if not classes <= allowed:
        raise LabelError(
            f"Expected the label of {frame.source.name} to hold {names} alone, got {sorted(classes)} as values; "
            f"{sorted(allowed)} are known. Remove the other segments."
        )
    if not classes & set(labels.values()) and (dropped or not says_no_layer(label)):
        raise LabelError(
            f"Expected the label of {frame.source.name} to show {names} or to be empty throughout, got only "
            f"{sorted(classes | set(dropped or ()))}. Draw it and save it as this number, or remove all else to say "
            f"that the image shows none; {IGNORE} means not annotated, also in a mask in black and white."
        )
