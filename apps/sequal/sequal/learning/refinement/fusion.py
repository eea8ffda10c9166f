"""Pseudo-label fusion: confident predictions of the teacher replace and complete a noisy, sparse label."""

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import label as connected_components

from sequal.labels import IGNORE, INTIMA_MEDIA

__all__ = ["FusionResult", "apply_supervision", "fuse"]

#: A column that the expert left out may be filled this many times as thick as his thickest one.
_THICKER: Final = 1.5


@dataclass(frozen=True)
class FusionResult:
    """A fused label.

    Attributes:
        label: uint8 (W, H), the refined label ỹ; the given one when `accepted` is False.
        accepted: False when the image's whole update was rejected.
        pixels_changed: pixels whose value differs from the given label.
    """

    label: NDArray[np.uint8]
    accepted: bool
    pixels_changed: int


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


def fuse(
    current: NDArray[np.uint8],
    expert: NDArray[np.uint8],
    probability: NDArray[np.float32],
    *,
    threshold: float = 0.8,
    min_foreground: float = 0.5,
    min_agreement: float = 0.0,
    scope: Literal["unknown", "all"] = "all",
    supervision: Literal["columns", "full"] = "columns",
) -> FusionResult:
    """Fuse the teacher's confident pixels into a label (S1, pseudo-label fusion).

    With p the teacher's softmax, ŷ = argmax p and m = max p: where m > `threshold` and ŷ ≠ ỹ, ỹ ← ŷ; IGNORE
    pixels are filled by the same rule. The whole image is left as it was when the new foreground is under
    `min_foreground` of the expert's, counted on the pixels that the expert annotated. Deviations: the image is also
    left as it was when the Dice of ŷ with the expert's label, on the annotated pixels, is under `min_agreement`. A
    teacher that does not find the layer where the expert drew it is no authority on where he did not (the published
    rule lets it write confident mistakes into the labels). And with `supervision = columns` a column that the expert
    left out is filled only where the layer continues what he drew, connected with it and not much thicker; a column
    that ends without foreground stays unknown, for the reason that `apply_supervision` gives: otherwise a missed
    piece of wall would be learnt as background.

    Args:
        current: uint8 (W, H), ỹ in {0, 1, 255}, supervision already applied.
        expert: uint8 (W, H), y in {0, 1, 255}, supervision already applied. Never changed.
        probability: float32 (W, H) in 0..1, the teacher's probability of the layer.
        threshold: λ, in [0.5, 1).
        min_foreground: smallest accepted ratio of new to expert foreground.
        min_agreement: smallest accepted Dice of teacher and expert, in 0..1; 0 is the published rule.
        scope: `all` is the published rule; with `unknown` only pixels that the expert did not annotate change.
        supervision: see `apply_supervision`.
    """
    confidence = np.maximum(probability, 1.0 - probability)
    pseudo = (probability > 0.5).astype(np.uint8)
    fused = np.where((confidence > threshold) & (pseudo != current), pseudo, current).astype(np.uint8)
    drawn, annotated = expert == INTIMA_MEDIA, expert != IGNORE
    if scope == "unknown":
        fused = np.where(annotated, expert, fused)
    predicted, kept = ((label == INTIMA_MEDIA) & annotated for label in (pseudo, fused))
    before, after, found = (np.count_nonzero(layer) for layer in (drawn, kept, predicted))
    agreement = 2 * np.count_nonzero(drawn & predicted) / (before + found) if before + found else 1.0
    if after < min_foreground * before or agreement < min_agreement:
        return FusionResult(label=current, accepted=False, pixels_changed=0)
    if supervision == "columns":
        fused = apply_supervision(_continued(fused, current, drawn), supervision)
    return FusionResult(label=fused, accepted=True, pixels_changed=int(np.count_nonzero(fused != current)))


def _continued(fused: NDArray[np.uint8], current: NDArray[np.uint8], drawn: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """The update without what it does, in columns that the expert left out, beside the layer that continues his.

    It continues when it is connected with what he drew (eight neighbours) and not much thicker than where he drew it
    thickest.
    """
    pieces, _ = connected_components(fused == INTIMA_MEDIA, structure=np.ones((3, 3), dtype=np.uint8))
    continued = np.isin(pieces, np.setdiff1d(pieces[drawn], 0))
    thin = np.count_nonzero(continued, axis=1) <= _THICKER * np.count_nonzero(drawn, axis=1).max()
    left_out = ~drawn.any(axis=1)
    refused = left_out & ~(continued.any(axis=1) & thin)
    stray = left_out[:, None] & (fused == INTIMA_MEDIA) & ~continued
    return np.where(refused[:, None] | stray, current, fused)
