"""Queries by BALD, which has to be asked for and which not every network can give."""

from dataclasses import dataclass

from sequal.acquisition.extras import BALD, how_to_get
from sequal.acquisition.scored import ScoredStrategy

__all__ = ["STRATEGY", "BaldStrategy"]


@dataclass(frozen=True)
class BaldStrategy(ScoredStrategy):
    """The image with the highest mutual information first; see `ScoredStrategy` for the rest.

    Where images were tried and none has a score, the network has no dropout layers: the order is random, and the
    reasons say so.
    """

    acquisition: str = BALD
    unscored: str = "the network has no dropout layers, so BALD cannot tell images apart"

    def _cold_start(self, failed: bool) -> str:
        said = super()._cold_start(failed)
        return said if failed else f"{said}; {how_to_get(BALD, BALD)}"


STRATEGY = BaldStrategy()
