"""BADGE: images whose label would change the network most, and differently."""

from dataclasses import dataclass

import numpy as np

from sequal.acquisition.distances import Array, nearest_squared, stack
from sequal.acquisition.feature_order import STEPS, FeatureOrder
from sequal.acquisition.strategy import Pool, Query, Ranking

__all__ = ["STRATEGY", "BadgeStrategy", "k_means_plus_plus"]


def k_means_plus_plus(points: Array, steps: int, rng: np.random.Generator) -> tuple[list[int], list[float]]:
    """Order points by k-means++ seeding: each drawn with a chance in proportion to D², its squared distance.

    D is the distance to the nearest point drawn before (Arthur & Vassilvitskii, SODA 2007). The first point is the
    longest, as in the authors' implementation of BADGE (Ash et al., ICLR 2020), not a uniform draw: a server that
    asks for one image at a time would else ask at random. After `steps` points the others follow in one weighted
    draw without replacement by the D² of that moment (Efraimidis & Spirakis, 2006). Points at distance 0, copies of
    drawn ones, come last in input order.

    Args:
        points: to be ordered `(N, D)`; of equally long ones the earlier one begins.
        steps: points that are drawn one by one.
        rng: source of the draws.

    Returns:
        Indices of the points, each once, and the distance (for the first its length) at which each was placed.
        Memory is O(N·D), time O(N·steps·D).

    >>> k_means_plus_plus(np.array([[1.0], [3.0], [3.0]]), 3, np.random.default_rng(0))
    ([1, 0, 2], [3.0, 2.0, 0.0])
    """
    if not len(points):
        return [], []
    lengths = np.sqrt((points**2).sum(axis=1))
    order = [int(np.argmax(lengths))]
    distances = [float(lengths[order[0]])]
    nearest = nearest_squared(points, points[order])
    while len(order) < steps and nearest.any():
        chosen = int(rng.choice(len(points), p=nearest / nearest.sum()))
        order.append(chosen)
        distances.append(float(np.sqrt(nearest[chosen])))
        nearest = np.minimum(nearest, nearest_squared(points, points[chosen][None]))
        nearest[chosen] = 0.0
    left = np.setdiff1d(np.arange(len(points)), order)
    # The smallest of exponential variables with rates D² is each point's with a chance of D² / Σ D².
    weights = nearest[left]
    arrival = np.full(len(left), np.inf)
    np.divide(rng.exponential(size=len(left)), weights, out=arrival, where=weights > 0)
    left = left[np.argsort(arrival, kind="stable")]
    return [*order, *left.tolist()], [*distances, *np.sqrt(nearest[left]).tolist()]


@dataclass(frozen=True)
class BadgeStrategy(Ranking):
    """K-means++ seeding over the gradient embedding of each image (Ash et al., ICLR 2020).

    The embedding is the gradient of the loss at the last layer if the network's own prediction were the label: it
    is long where the network is unsure, and its direction tells kinds of uncertainty apart. Images of validation
    patients come last, before them those without an embedding, both in random order; without any embedding (a cold
    start) the order is random, and the reasons say how to get them.

    Attributes:
        steps: images that are drawn one by one.
    """

    steps: int = STEPS
    name = "badge"

    def rank(self, pool: Pool, rng: np.random.Generator) -> list[Query]:
        """All unlabelled images, each once; the score is the distance when drawn; an empty pool gives []."""
        order = FeatureOrder.of(self.name, "gradient", pool, rng)
        points = stack([order.vectors[image] for image in order.ranked])
        return order.queries(pool, *k_means_plus_plus(points, self.steps, rng), "gradient distance")


STRATEGY = BadgeStrategy()
