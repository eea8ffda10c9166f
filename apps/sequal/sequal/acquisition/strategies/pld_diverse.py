"""PLD with diversity: by patient first, then in feature space."""

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from sequal.acquisition.distances import Array, nearest_squared, stack
from sequal.acquisition.feature_order import STEPS
from sequal.acquisition.functions import PLD
from sequal.acquisition.order import VALIDATION_LAST, candidates_in_order, in_validation
from sequal.acquisition.strategy import Pool, Query, Ranking

__all__ = ["STRATEGY", "PldDiverseStrategy", "passes_by_patient", "spread"]

_Vectors = Mapping[str, NDArray[np.float32]]


def passes_by_patient(
    by_score: Sequence[str], patients: Mapping[str, str], labelled: Iterable[str]
) -> Iterator[list[str]]:
    """Candidates in groups that are asked for one after the other.

    In the first pass every patient gives its best image, in the second its next, and so on. Within a pass the
    patients with the fewest labelled images form the first group, those with the next fewest the second, …

    Args:
        by_score: images, the highest score first.
        patients: patient by image id; an image that is not in it is its own patient.
        labelled: images with a label.

    Yields:
        Groups, none empty; within each the highest score first.

    >>> patients = {"a1": "a", "a2": "a", "b1": "b", "c1": "c", "c2": "c"}
    >>> list(passes_by_patient(["a1", "a2", "c1", "b1"], patients, ["c2"]))
    [['a1', 'b1'], ['c1'], ['a2']]
    """
    seen = Counter(patients.get(image, image) for image in labelled)
    given: Counter[str] = Counter()
    place: dict[str, tuple[int, int]] = {}
    for image in by_score:
        patient = patients.get(image, image)
        place[image] = given[patient], seen[patient]
        given[patient] += 1
    for _, group in groupby(sorted(by_score, key=place.__getitem__), place.__getitem__):
        yield list(group)


def spread(group: Sequence[str], vectors: _Vectors, centres: Array, window: int, steps: int) -> list[str]:
    """Reorder images so that they are far from each other in feature space, without going far down the scores.

    Step by step, out of the `window` (m) best images left, the one with the largest r · d: r is 1 for the best
    score of the window and falls in equal steps to 1/m for the last, d is the Euclidean distance to the nearest
    centre or image chosen before. While there is neither, d is 1: the best score begins. An image without a vector
    has the mean d of the window, which speaks neither for nor against it.

    Args:
        group: images, the highest score first.
        vectors: vector `(D,)` by image id; need not hold all of `group`.
        centres: vectors of what is labelled or chosen already `(M, D)`.
        window: m ≥ 1.
        steps: images that are chosen so; the others follow by score.

    Returns:
        The images of `group`, each once. Of equal r · d the higher score comes first.

    Three images at 1.0, 1.1 and 3.0, of falling score, and a label at 0: r · d is 1, 2/3 · 1.1 and 1/3 · 3, so
    the first; then, with r = 1 and 1/2, 0.1 and 1/2 · 2.0:

    >>> at = {"x": np.float32([1.0]), "y": np.float32([1.1]), "z": np.float32([3.0])}
    >>> spread(["x", "y", "z"], at, np.array([[0.0]]), window=3, steps=2)
    ['x', 'z', 'y']
    """
    reachable = group[: window + steps]  # the window moves on by one image with each step
    known = np.array([image in vectors for image in reachable], dtype=bool)
    points = np.zeros((len(reachable), len(next(iter(vectors.values()))) if vectors else 1))
    points[known] = stack([vectors[image] for image in reachable if image in vectors]) if known.any() else 0.0
    nearest = np.where(known, nearest_squared(points, centres), np.nan)
    left, order = list(range(len(reachable))), list[int]()
    while left and len(order) < steps:
        candidates = left[:window]
        rank = 1 - np.arange(len(candidates)) / len(candidates)
        chosen = left.pop(int(np.argmax(rank * _distances(nearest[candidates]))))
        order.append(chosen)
        if known[chosen]:
            nearest = np.minimum(nearest, nearest_squared(points, points[chosen][None]))
    return [*(group[index] for index in (*order, *left)), *group[len(reachable) :]]


def _distances(squared: Array) -> Array:
    """From squared distances, infinite without a centre and NaN without a vector, to what they count as."""
    distances = np.sqrt(np.where(np.isinf(squared), 1.0, squared))
    unknown = np.isnan(distances)
    distances[unknown] = distances[~unknown].mean() if not unknown.all() else 1.0
    return distances


@dataclass(frozen=True)
class PldDiverseStrategy(Ranking):
    """High PLD, patients in turn, and within a turn far apart in feature space.

    Frames of one patient resemble each other, and so do the top scores of one round: the highest scores alone
    waste labels on copies. Own rule, in three steps; the idea of weighing a score by a distance is that of
    information density (Settles & Craven, EMNLP 2008, eq. 11) with the sign of k-centre greedy (Sener & Savarese,
    ICLR 2018):

    1. images with a PLD score, the highest first, ties at random;
    2. patients in turn, those with the fewest labels first: `passes_by_patient`;
    3. each group of step 2 by `spread` over bottleneck features, away from all labelled images and from all chosen
       before, for the first `steps` images of the ranking; the window is `fraction` of all scored candidates and at
       least `at_least`. Without features the order of step 2 stands.

    Images without a score follow in random order, then those of validation patients.

    Attributes:
        steps: images that are spread; the others keep the order of step 2.
        fraction: part of the scored candidates that a step may choose from.
        at_least: images that a step may choose from in a small pool.
    """

    steps: int = STEPS
    fraction: float = 0.1
    at_least: int = 24
    name = "pld_diverse"

    def rank(self, pool: Pool, rng: np.random.Generator) -> list[Query]:
        """All unlabelled images, each once; the score is their PLD; an empty pool gives []."""
        every = pool.scores(PLD)
        scores = {image: float(every[image]) for image in pool.unlabelled if math.isfinite(every.get(image, math.nan))}
        order = candidates_in_order(pool, scores, rng)
        by_score = [image for image in order if image in scores and not in_validation(pool, image)]
        ranked = self._diverse(pool, by_score)
        taken = set(by_score)
        rest = [image for image in order if image not in taken]
        labels = Counter(pool.patients.get(image, image) for image in pool.labelled)
        turns: dict[str, int] = defaultdict(int)

        def reason(image: str, rank: int) -> str:
            patient = pool.patients.get(image, image)
            turns[patient] += 1
            return (
                f"pld {scores[image]:.4g}, rank {rank} of {len(ranked)} after diversity: "
                f"image {turns[patient]} of its patient in turn, who has {labels[patient]} labelled"
            )

        return [
            *(Query(image, scores[image], reason(image, rank)) for rank, image in enumerate(ranked, 1)),
            *(Query(image, scores.get(image), self._unranked(pool, image, bool(ranked))) for image in rest),
        ]

    def _diverse(self, pool: Pool, by_score: list[str]) -> list[str]:
        vectors = {image: vector for image, vector in pool.features("bottleneck").items() if np.isfinite(vector).all()}
        order: list[str] = []
        known = any(image in vectors for image in by_score)
        window = max(self.at_least, math.ceil(self.fraction * len(by_score)))
        for group in passes_by_patient(by_score, pool.patients, pool.labelled):
            left = self.steps - len(order)
            if known and left > 0:
                centres = stack([vectors[image] for image in (*pool.labelled, *order) if image in vectors])
                group = spread(group, vectors, centres, window, left)
            order.extend(group)
        return order

    def _unranked(self, pool: Pool, image: str, ranked: bool) -> str:
        if in_validation(pool, image):
            return VALIDATION_LAST
        if not ranked:
            return "cold start: no image has a pld score yet, random order"
        return "no pld score yet: after the scored images, random order"


STRATEGY = PldDiverseStrategy()
