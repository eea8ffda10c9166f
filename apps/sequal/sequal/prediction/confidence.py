"""How sure a model may be of a mask: what its probabilities promise, corrected by what labels found."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from sequal.errors import CheckpointError

__all__ = ["Confidence", "expected_dice"]

#: What stands for the frames that no label has judged yet: five frames with a doubt of 0.06 and an error of 0.18, as
#: the starting weights had on frames of other simulated and real scanners (`benchmarks/adaptation`).
_PRIOR_DOUBT: Final = 0.3
_PRIOR_ERROR: Final = 0.9
#: Labels of an earlier round say less about a model that has learnt since.
_KEPT: Final = 0.5


def expected_dice(probability: NDArray[np.float32]) -> float | None:
    """The Dice that a mask p > 0.5 has with the truth if the probabilities are right: 2Σpm / (Σp + Σm).

    An empty mask has none: a network that finds nothing is as sure of a frame without a wall as of a wall it misses.

    Args:
        probability: float32 in 0..1, any shape.

    >>> expected_dice(np.array([[1.0, 0.0]], dtype=np.float32))
    1.0
    """
    mask = probability > 0.5
    if not mask.any():
        return None
    return float(2.0 * probability[mask].sum(dtype=np.float64) / (probability.sum(dtype=np.float64) + mask.sum()))


@dataclass(frozen=True)
class Confidence:
    """From the expected Dice of a model's masks to the Dice that labels found, by one factor.

    Networks are too sure of masks on frames unlike those they learnt from, and by much the same factor from good masks
    to bad ones: 1 − Dice ≈ s · (1 − expected Dice). The factor s is the sum of the errors over the sum of the doubts of
    the frames that a label judged before the model learnt from it, with a prior of five frames.

    Attributes:
        doubt: Σ (1 − expected Dice) over judged frames with a mask, those of earlier rounds at half their weight.
        error: Σ (1 − Dice) over the same frames.
    """

    doubt: float = 0.0
    error: float = 0.0

    @property
    def factor(self) -> float:
        """The factor s, over 0."""
        return (_PRIOR_ERROR + self.error) / (_PRIOR_DOUBT + self.doubt)

    def of(self, expected: float) -> float:
        """The Dice to be expected of a mask, 0..1, from the `expected_dice` of its probabilities.

        Without any label s = 3:

        >>> round(Confidence().of(0.95), 3)
        0.85
        """
        return max(0.0, 1.0 - self.factor * (1.0 - expected))

    def judged(self, pairs: Iterable[tuple[float, float]]) -> Self:
        """With the frames that the labels of one more round judged.

        Args:
            pairs: `expected_dice` of the mask and its Dice with the label, both 0..1, of frames with a mask that the
                model in service had not learnt from.

        >>> round(Confidence().judged([(0.9, 0.9)] * 7).factor, 3)  # (0.9 + 0.7) / (0.3 + 0.7)
        1.6
        """
        doubts, errors = [], []
        for expected, dice in pairs:
            doubts.append(1.0 - expected)
            errors.append(1.0 - dice)
        if not doubts:
            return self
        return type(self)(_KEPT * self.doubt + math.fsum(doubts), _KEPT * self.error + math.fsum(errors))

    def as_meta(self) -> dict[str, float]:
        """The form that a checkpoint keeps under `confidence`."""
        return asdict(self)

    @classmethod
    def from_meta(cls, meta: Mapping[str, Any]) -> Self:
        """What a checkpoint's `meta` says; without an entry nothing was judged yet.

        Raises:
            CheckpointError: the entry is not two sums.
        """
        found = meta.get("confidence", {})
        try:
            confidence = cls(**{name: float(value) for name, value in found.items()})
        except (AttributeError, TypeError, ValueError) as error:
            raise _unusable(found) from error
        if not (0 <= confidence.doubt < math.inf and 0 <= confidence.error < math.inf):
            raise _unusable(found)
        return confidence


def _unusable(found: object) -> CheckpointError:
    return CheckpointError(
        f"Expected `confidence` of the checkpoint to hold `doubt` and `error`, both at least 0, got {found!r}. "
        "Use a checkpoint that this version of the app wrote."
    )
