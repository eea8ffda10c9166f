"""What the strategies in feature space share: who takes part, and where the others stand."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sequal.acquisition.extras import FEATURES, how_to_get
from sequal.acquisition.order import VALIDATION_LAST, candidates_in_order, in_validation
from sequal.acquisition.strategy import Pool, Query

__all__ = ["STEPS", "FeatureOrder"]

#: Images that are chosen one after the other, each with regard to those before; no query asks for more at once,
#: and a pool of thousands is ranked in a second.
STEPS: Final = 64


@dataclass(frozen=True)
class FeatureOrder:
    """The unlabelled images of a pool, in random order, parted by what is known about them.

    Attributes:
        strategy: name of the strategy, for the reasons.
        ranked: images that the strategy ranks: they have a vector and their patient is not in validation.
        rest: all others; validation patients last.
        vectors: vector by image id, labelled images included.
    """

    strategy: str
    ranked: list[str]
    rest: list[str]
    vectors: Mapping[str, NDArray[np.float32]]

    @classmethod
    def of(cls, strategy: str, kind: str, pool: Pool, rng: np.random.Generator) -> "FeatureOrder":
        """Part the pool; a vector with a value that is not finite counts as none."""
        vectors = {image: vector for image, vector in pool.features(kind).items() if np.isfinite(vector).all()}
        order = candidates_in_order(pool, {}, rng)
        ranked = [image for image in order if image in vectors and not in_validation(pool, image)]
        taken = set(ranked)
        return cls(strategy, ranked, [image for image in order if image not in taken], vectors)

    def queries(self, pool: Pool, order: Sequence[int], scores: Sequence[float], measure: str) -> list[Query]:
        """Queries for all images of the pool.

        Args:
            pool: the pool that this came from.
            order: indices into `ranked`, each once, the most wanted first.
            scores: what each of `order` was ranked by, in that order.
            measure: what a score is, in words.
        """
        total = len(self.ranked)
        found = [
            Query(self.ranked[index], float(score), f"{self.strategy}: {measure} {score:.4g}, rank {rank} of {total}")
            for rank, (index, score) in enumerate(zip(order, scores, strict=True), 1)
        ]
        return [*found, *(Query(image, None, self._reason(pool, image)) for image in self.rest)]

    def _reason(self, pool: Pool, image: str) -> str:
        if in_validation(pool, image):
            return VALIDATION_LAST
        if not self.ranked:
            return f"cold start: no image has features yet, random order; {how_to_get(self.strategy, FEATURES)}"
        return "no features yet: after the images with features, random order"
