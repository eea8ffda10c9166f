"""Queries by the score of one acquisition function, image by image."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from sequal.acquisition.extras import EXTRAS, how_to_get
from sequal.acquisition.order import VALIDATION_LAST, all_failed, candidates
from sequal.acquisition.strategy import Candidate, Pool, Query, Walking

__all__ = ["ScoredStrategy"]


@dataclass(frozen=True)
class ScoredStrategy(Walking):
    """The image with the highest score first.

    Attributes:
        acquisition: name of the acquisition function, and of the strategy.
        unscored: why a model in service that tried images gave none a score; empty: nothing is known.
    """

    acquisition: str
    unscored: str = ""

    @property
    def name(self) -> str:
        """Name that clients ask for it by."""
        return self.acquisition

    def queries(self, pool: Pool, rng: np.random.Generator) -> Iterator[Query]:
        """All unlabelled images, each once, by falling score; see `candidates_in_order` for the rest.

        Args:
            pool: the pool. Without any score (a cold start) the order is random, and the reasons say so.
            rng: breaks ties.

        Yields:
            Queries, the most wanted first; none for an empty pool.
        """
        cold: str | None = None
        for rank, candidate in enumerate(candidates(pool, self.acquisition, rng), 1):
            if rank == 1 and candidate.score is None and not candidate.last:
                cold = self._cold_start(all_failed(pool, self.acquisition))
            yield Query(candidate.image, candidate.score, self._reason(candidate, rank, len(pool.unlabelled), cold))

    def _reason(self, candidate: Candidate, rank: int, count: int, cold: str | None) -> str:
        if candidate.last:
            return VALIDATION_LAST
        if cold is not None:
            return cold
        if candidate.score is None:
            return f"no {self.acquisition} score yet: after the scored images, random order"
        return f"{self.acquisition} {candidate.score:.4g}, rank {rank} of {count} unlabelled images"

    def _cold_start(self, failed: bool) -> str:
        """Why nothing is ranked; `failed`: the model in service tried images, and none got a score."""
        if failed and self.unscored:
            return f"{self.unscored}: random order"
        said = f"cold start: no image has a {self.acquisition} score yet, random order"
        return f"{said}; {how_to_get(self.name, self.acquisition)}" if self.acquisition in EXTRAS else said
