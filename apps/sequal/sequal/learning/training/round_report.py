"""What a round did, for the ledger and for clients."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sequal.learning.training.refine import RefinementReport

__all__ = ["RoundReport"]


@dataclass(frozen=True)
class RoundReport:
    """What a round did; `as_stats` is its JSON form.

    Attributes:
        round: its number in the study, from 1.
        published: whether its pair is now the published one.
        reason: why, or why not.
        metric: Dice of its teacher on the labels that judged; None when training diverged.
        published_metric: Dice on the same labels of the model that was in service before.
        judged: what the labels said, see `Verdict`.
        refinement: what fusion did.
        pld: `scored`, `mean`, `max` over the pool.
        trained_on: images.
        no_layer: those of them of which the expert said that they show no layer.
        left_out: unreadable images and unusable labels, `{id: reason}`.
        digest: of the round's checkpoint.
        seconds: of the whole round.
        iou: of the student with its labels, one value an epoch.
    """

    round: int
    published: bool
    reason: str
    metric: float | None
    published_metric: float | None
    judged: Mapping[str, Any]
    refinement: RefinementReport
    pld: Mapping[str, float | int | None]
    trained_on: int
    no_layer: int
    left_out: Mapping[str, str]
    digest: str
    seconds: float
    iou: Sequence[float] = field(default_factory=tuple)

    def as_stats(self) -> dict[str, Any]:
        """The train stats of the contract, without `epoch`, `total_epochs` and `total_time`."""
        return {
            "best_metric": self.metric if self.metric is not None else 0.0,
            "round": self.round,
            "published": self.published,
            "published_reason": self.reason,
            "judged": dict(self.judged),
            "refinement": self.refinement.as_dict(),
            "pld": dict(self.pld),
            "trained_on": self.trained_on,
            "no_layer": self.no_layer,
            "left_out": dict(self.left_out),
        }
