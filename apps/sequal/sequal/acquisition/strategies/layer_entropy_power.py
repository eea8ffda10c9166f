"""Queries at random, in which images that the model is unsure of are chosen more often."""

from dataclasses import dataclass

from sequal.acquisition.power import POWER
from sequal.acquisition.scored import ScoredStrategy
from sequal.acquisition.strategy import Candidate

__all__ = ["STRATEGY", "PowerStrategy"]


@dataclass(frozen=True)
class PowerStrategy(ScoredStrategy):
    """Images in the order of `power_score` of their layer entropy; see `ScoredStrategy` for the rest."""

    acquisition: str = POWER

    def _reason(self, candidate: Candidate, rank: int, count: int, cold: str | None) -> str:
        if candidate.score is None or candidate.last or cold is not None:
            return super()._reason(candidate, rank, count, cold)
        return f"chosen at random, more often where the model is unsure: place {rank} of {count} unlabelled"

    def _cold_start(self, failed: bool) -> str:
        if failed:
            return "cold start: the model could score no image, random order"
        return "cold start: the model has not looked at any image yet, random order"


STRATEGY = PowerStrategy()
