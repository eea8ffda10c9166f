"""Pseudo-label fusion: confident predictions replace and complete a noisy, sparse label."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from sequal.labels import BACKGROUND, IGNORE

__all__ = ["FusionResult", "fuse"]


@dataclass(frozen=True)
class FusionResult:
    """A fused label.

    Attributes:
        label: uint8, any shape, the refined label ỹ; the given one when `accepted` is False.
        accepted: False when the image's whole update was rejected.
        pixels_changed: pixels whose value differs from the given label.
    """

    label: NDArray[np.uint8]
    accepted: bool
    pixels_changed: int


def fuse(
    current: NDArray[np.uint8],
    expert: NDArray[np.uint8],
    classes: NDArray[np.uint8],
    confidence: NDArray[np.float32],
    *,
    threshold: float = 0.8,
    min_foreground: float = 0.5,
    min_agreement: float = 0.0,
    scope: Literal["unknown", "all"] = "all",
) -> FusionResult:
    """Fuse confident pixels of a prediction into a label (S1, pseudo-label fusion).

    With p the softmax of what annotators see (in S1: of the teacher), ŷ = argmax p and m = max p: where m > `threshold`
    and ŷ ≠ ỹ, ỹ ← ŷ; IGNORE pixels are filled by the same rule. The whole image is left as it was when the new
    foreground is under `min_foreground` of the expert's, counted on the pixels that the expert annotated. Deviation:
    the image is also left as it was when the Dice of ŷ with the expert's label, foreground against background on the
    annotated pixels, is under `min_agreement`. A network that does not find the structure where the expert drew it is
    no authority on where he did not (the published rule lets it write confident mistakes into the labels).

    Args:
        current: uint8, any shape, ỹ: classes and 255, supervision already applied.
        expert: uint8 of that shape, y: classes and 255, supervision already applied. Never changed.
        classes: uint8 of that shape, ŷ.
        confidence: float32 of that shape, m in 0..1.
        threshold: λ, in [0.5, 1).
        min_foreground: smallest accepted ratio of new to expert foreground.
        min_agreement: smallest accepted Dice of ŷ and y, in 0..1; 0 is the published rule.
        scope: `all` is the published rule; with `unknown` only pixels that the expert did not annotate change.
    """
    fused = np.where((confidence > threshold) & (classes != current), classes, current).astype(np.uint8)
    annotated = expert != IGNORE
    drawn = annotated & (expert != BACKGROUND)
    if scope == "unknown":
        fused = np.where(annotated, expert, fused)
    predicted, kept = ((label != BACKGROUND) & (label != IGNORE) & annotated for label in (classes, fused))
    before, after, found = (np.count_nonzero(layer) for layer in (drawn, kept, predicted))
    right = np.count_nonzero(drawn & (classes == expert))
    agreement = 2 * right / (before + found) if before + found else 1.0
    if after < min_foreground * before or agreement < min_agreement:
        return FusionResult(label=current, accepted=False, pixels_changed=0)
    return FusionResult(label=fused, accepted=True, pixels_changed=int(np.count_nonzero(fused != current)))
