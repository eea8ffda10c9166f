"""One label from the labels that several readers drew of one image."""

from collections.abc import Sequence
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from sequal.errors import LabelError
from sequal.labels import BACKGROUND, IGNORE

__all__ = ["CONSENSUS_METHODS", "ConsensusMethod", "fuse_readers"]

ConsensusMethod = Literal["majority", "weights", "staple"]
CONSENSUS_METHODS: Final = ("majority", "weights", "staple")


def fuse_readers(
    labels: Sequence[NDArray[np.uint8]],
    method: ConsensusMethod = "majority",
    weights: Sequence[float] | None = None,
) -> NDArray[np.uint8]:
    """One label from several readers'.

    A pixel takes the class with the most votes of those readers who annotated it. Where two classes have equal votes
    it becomes 255 (unknown): of two readers, the pixels that only one of them drew.

    The weights of the published S1 code (0.45, 0.35, 0.20, from an analytic hierarchy) equal a majority vote of three.

    Args:
        labels: uint8, classes and 255, at least one, all of one shape.
        method: `majority` gives every reader one vote, `weights` the votes of `weights`. `staple` weighs readers by
            their estimated sensitivity and specificity (STAPLE, Warfield et al., IEEE TMI 23:903, 2004; SimpleITK),
            each class against the rest; it uses the pixels that every reader annotated, and the others are 255.
        weights: of `weights`: one number over 0 a reader, in the same order.

    Returns:
        uint8 of that shape; a pixel that nobody annotated (`staple`: that somebody did not) is 255.

    Raises:
        LabelError: no label, labels of different shapes, or weights that do not fit them.

    >>> a, b, c = (np.array(v, dtype=np.uint8) for v in ((1, 1, 1), (1, 0, 255), (0, 0, 255)))
    >>> fuse_readers([a, b, c]).tolist(), fuse_readers([a, b]).tolist()
    ([1, 0, 1], [1, 255, 1])
    >>> fuse_readers([a, b], "weights", [0.6, 0.4]).tolist()
    [1, 1, 1]
    """
    if not labels or len({label.shape for label in labels}) != 1:
        raise LabelError(
            f"Expected labels of one shape, got {[label.shape for label in labels]}. "
            "Give each reader's label of one image."
        )
    stack = np.stack(labels)
    if method == "staple":
        return _staple(stack)
    return _vote(stack, _votes(len(labels), method, weights))


def _votes(readers: int, method: ConsensusMethod, weights: Sequence[float] | None) -> NDArray[np.float64]:
    if method != "weights":
        return np.ones(readers)
    votes = np.asarray(weights if weights is not None else (), dtype=np.float64)
    if votes.shape != (readers,) or not (np.isfinite(votes) & (votes > 0)).all():
        raise LabelError(
            f"Expected `weights` to be {readers} numbers over 0, one a reader, got {list(votes)}. Give one weight for "
            "each reader, in the same order."
        )
    return votes


def _vote(stack: NDArray[np.uint8], votes: NDArray[np.float64]) -> NDArray[np.uint8]:
    classes = _classes(stack)
    totals = np.stack([np.tensordot(votes, stack == number, axes=1) for number in classes])
    most = totals.max(axis=0)
    fused = np.asarray(classes, dtype=np.uint8)[totals.argmax(axis=0)]
    # Sums of weights as 0.45 and 0.35 + 0.1 are equal but for rounding.
    fused[(totals >= most - 1e-9).sum(axis=0) > 1] = IGNORE
    return fused


def _staple(stack: NDArray[np.uint8]) -> NDArray[np.uint8]:
    import SimpleITK as sitk  # noqa: N813 - its customary name; heavy, and needed by this method alone

    fused = np.full(stack.shape[1:], IGNORE, dtype=np.uint8)
    everybody = (stack != IGNORE).all(axis=0)
    seen = stack[:, everybody]
    drawn = [number for number in _classes(seen) if number != BACKGROUND]
    best, found = np.full(seen.shape[1], 0.5), np.zeros(seen.shape[1], dtype=np.uint8)
    for number in drawn:
        images = [sitk.GetImageFromArray((row[None] == number).astype(np.uint8)) for row in seen]
        probability = sitk.GetArrayFromImage(sitk.STAPLE(images, 1.0))[0]  # type: ignore[no-untyped-call]
        better = probability > best
        found[better], best[better] = number, probability[better]
    fused[everybody] = found
    return fused


def _classes(stack: NDArray[np.uint8]) -> list[int]:
    return sorted({BACKGROUND, *(int(value) for value in np.unique(stack))} - {IGNORE})
