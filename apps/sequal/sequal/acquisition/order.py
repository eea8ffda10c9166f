"""The order that all strategies share: by score, ties and unknowns at random, validation patients last."""

import math
from collections.abc import Iterator, Mapping

import numpy as np

from sequal.acquisition.strategy import Candidate, Pool

__all__ = ["VALIDATION_LAST", "all_failed", "candidates", "candidates_in_order", "in_validation"]

VALIDATION_LAST = "asked for last: its patient is in the frozen validation, so its label would not be used"


def in_validation(pool: Pool, image: str) -> bool:
    """Whether an image belongs to a patient of the frozen validation split."""
    return pool.patients.get(image, image) in pool.validation_patients


def candidates(pool: Pool, acquisition: str | None, rng: np.random.Generator) -> Iterator[Candidate]:
    """The order of `candidates_in_order` by a function's scores (None: at random), as far as it is asked for."""
    if pool.kept is not None:
        yield from pool.kept.walk(acquisition, rng)
        return
    every = pool.scores(acquisition) if acquisition is not None else {}
    scores = {image: float(every[image]) for image in pool.unlabelled if math.isfinite(every.get(image, math.nan))}
    for image in candidates_in_order(pool, scores, rng):
        yield Candidate(image, scores.get(image), in_validation(pool, image))


def all_failed(pool: Pool, acquisition: str) -> bool:
    """Whether the model in service has tried images, and none has a finite score."""
    if pool.kept is not None:
        return pool.kept.failed(acquisition)
    tried = pool.scores(acquisition)
    return bool(tried) and not any(math.isfinite(score) for score in tried.values())


def candidates_in_order(pool: Pool, scores: Mapping[str, float], rng: np.random.Generator) -> list[str]:
    """Unlabelled images, the highest score first.

    Images of validation patients come after all others: their labels can neither train nor join the frozen
    validation. Within both groups scored images come before images without a (finite) score, about which
    nothing is known. Ties, and images without a score, stand in random order.

    Args:
        pool: the pool.
        scores: score by image id; may be empty.
        rng: breaks ties. It sees the sorted ids, so the order of the pool does not matter.

    Returns:
        Every unlabelled image once; [] for an empty pool.
    """
    ids = sorted(set(pool.unlabelled) - set(pool.labelled))
    shuffled = [ids[index] for index in rng.permutation(len(ids))]

    def key(image: str) -> tuple[bool, float]:
        score = scores.get(image, math.nan)
        return in_validation(pool, image), -score if math.isfinite(score) else math.inf

    return sorted(shuffled, key=key)
