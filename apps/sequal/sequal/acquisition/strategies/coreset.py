"""CoreSet: images that lie farthest from everything labelled, in the network's feature space."""

from dataclasses import dataclass

import numpy as np

from sequal.acquisition.distances import Array, nearest_squared, stack
from sequal.acquisition.feature_order import STEPS, FeatureOrder
from sequal.acquisition.strategy import Pool, Query, Ranking

__all__ = ["STRATEGY", "CoresetStrategy", "k_centre_greedy"]


def k_centre_greedy(points: Array, centres: Array, steps: int) -> tuple[list[int], list[float]]:
    """Order points by k-centre greedy: each time the point farthest from its nearest centre, then a centre itself.

    Algorithm 1 of Sener & Savarese, ICLR 2018, which is a 2-approximation of the smallest covering radius. After
    `steps` points the others follow by falling distance to the centres of that moment. Without centres the first
    point of the input begins, at distance 0: there is nothing that it could be far from.

    Args:
        points: to be ordered `(N, D)`; of equal distances the earlier one comes first.
        centres: labelled already `(M, D)`; M may be 0.
        steps: points that are chosen one by one.

    Returns:
        Indices of the points, each once, and the distance to the nearest centre by which each was placed.
        Memory is O(N·D), time O(N·(M + steps)·D).

    >>> k_centre_greedy(np.array([[1.0], [5.0], [9.0]]), np.array([[0.0]]), steps=3)
    ([2, 1, 0], [9.0, 4.0, 1.0])
    """
    nearest = nearest_squared(points, centres)
    order: list[int] = []
    distances: list[float] = []
    while len(order) < min(steps, len(points)):
        chosen = int(np.argmax(nearest))
        order.append(chosen)
        distances.append(float(np.sqrt(nearest[chosen])) if np.isfinite(nearest[chosen]) else 0.0)
        nearest = np.minimum(nearest, nearest_squared(points, points[chosen][None]))
        nearest[order] = -1.0  # chosen already, below any distance
    left = np.argsort(-nearest, kind="stable")[: len(points) - len(order)]
    return [*order, *left.tolist()], [*distances, *np.sqrt(nearest[left]).tolist()]


@dataclass(frozen=True)
class CoresetStrategy(Ranking):
    """K-centre greedy over the mean bottleneck feature of each image, with the labelled images as centres.

    See `k_centre_greedy`. Labelled images without a feature are not seen. Images of validation patients come last,
    before them those without a feature, both in random order; without any feature (a cold start) the order is
    random, and the reasons say how to get features.

    Attributes:
        steps: images that are chosen one by one; the others follow by distance.
    """

    steps: int = STEPS
    name = "coreset"

    def rank(self, pool: Pool, rng: np.random.Generator) -> list[Query]:
        """All unlabelled images, each once; the score is the distance in feature space; an empty pool gives []."""
        order = FeatureOrder.of(self.name, "bottleneck", pool, rng)
        points = stack([order.vectors[image] for image in order.ranked])
        centres = stack([order.vectors[image] for image in pool.labelled if image in order.vectors])
        return order.queries(pool, *k_centre_greedy(points, centres, self.steps), "distance to the nearest label")


STRATEGY = CoresetStrategy()
