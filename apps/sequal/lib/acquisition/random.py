"""Random queries: the baseline that every strategy has to beat."""

import numpy as np

from lib.acquisition.order import VALIDATION_LAST, candidates_in_order, in_validation
from lib.acquisition.strategy import Pool, Query

__all__ = ["RandomStrategy"]


class RandomStrategy:
    """Images in random order, uniformly; validation patients last."""

    name = "random"

    def rank(self, pool: Pool, rng: np.random.Generator) -> list[Query]:
        """All unlabelled images, each once, without scores; an empty pool gives []."""
        return [
            Query(image, None, VALIDATION_LAST if in_validation(pool, image) else "random order")
            for image in candidates_in_order(pool, {}, rng)
        ]
