"""Queries by the score of one acquisition function, image by image."""

import math
from dataclasses import dataclass

import numpy as np

from lib.acquisition.order import VALIDATION_LAST, candidates_in_order, in_validation
from lib.acquisition.strategy import Pool, Query

__all__ = ["ScoredStrategy"]


@dataclass(frozen=True)
class ScoredStrategy:
    """The image with the highest score first.

    Attributes:
        acquisition: name of the acquisition function, and of the strategy.
    """

    acquisition: str

    @property
    def name(self) -> str:
        """Name that clients ask for it by."""
        return self.acquisition

    def rank(self, pool: Pool, rng: np.random.Generator) -> list[Query]:
        """All unlabelled images, each once, by falling score; see `candidates_in_order` for the rest.

        Args:
            pool: the pool. Without any score (a cold start) the order is random, and the reasons say so.
            rng: breaks ties.

        Returns:
            Queries, the most wanted first; [] for an empty pool.
        """
        every = pool.scores(self.acquisition)
        scores = {image: float(every[image]) for image in pool.unlabelled if math.isfinite(every.get(image, math.nan))}
        order = candidates_in_order(pool, scores, rng)
        ranked = sum(not in_validation(pool, image) for image in scores)
        failed = not scores and any(image in every for image in pool.unlabelled)

        def reason(image: str, rank: int) -> str:
            if in_validation(pool, image):
                return VALIDATION_LAST
            return self._reason(scores.get(image), rank, ranked) if ranked else self._cold_start(failed)

        return [Query(image, scores.get(image), reason(image, rank)) for rank, image in enumerate(order, 1)]

    def _reason(self, score: float | None, rank: int, ranked: int) -> str:
        if score is None:
            return f"no {self.acquisition} score yet: after the scored images, random order"
        return f"{self.acquisition} {score:.4g}, rank {rank} of {ranked} scored images"

    def _cold_start(self, failed: bool) -> str:
        """Why nothing is ranked; `failed`: the model in service tried images, and none got a score."""
        return f"cold start: no image has a {self.acquisition} score yet, random order"
