"""Random queries: the baseline that every strategy has to beat."""

from collections.abc import Iterator

import numpy as np

from sequal.acquisition.order import VALIDATION_LAST, candidates
from sequal.acquisition.strategy import Pool, Query, Walking

__all__ = ["STRATEGY", "RandomStrategy"]


class RandomStrategy(Walking):
    """Images in random order, uniformly; validation patients last."""

    name = "random"

    def queries(self, pool: Pool, rng: np.random.Generator) -> Iterator[Query]:
        """All unlabelled images, each once, without scores; none for an empty pool."""
        for candidate in candidates(pool, None, rng):
            yield Query(candidate.image, None, VALIDATION_LAST if candidate.last else "random order")


STRATEGY = RandomStrategy()
