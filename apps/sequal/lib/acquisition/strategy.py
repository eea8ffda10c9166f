"""What a query strategy is: it ranks the pool, the most wanted image first."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

__all__ = ["Pool", "Query", "QueryStrategy"]


def _no_features(kind: str) -> Mapping[str, NDArray[np.float32]]:
    return {}


@dataclass(frozen=True)
class Query:
    """One image that a strategy asks for.

    Attributes:
        id: image id.
        score: what it was ranked by, higher is asked for first; None when no score was used.
        reason: why it stands where it stands, in words for the annotator.
    """

    id: str
    score: float | None
    reason: str


@dataclass(frozen=True)
class Pool:
    """What a strategy may look at.

    Attributes:
        unlabelled: images to rank, sorted.
        labelled: images with an expert's label, sorted.
        patients: patient by image id.
        scores: score by image id, by name of the acquisition function, of the published checkpoint; empty
            before the first scoring, NaN where an image could not be scored.
        validation_patients: patients of the frozen validation split.
        features: vector `(D,)` by image id, labelled and unlabelled, by kind ("bottleneck" or "gradient"), of
            the published checkpoint; empty where none were computed.
    """

    unlabelled: tuple[str, ...]
    labelled: tuple[str, ...]
    patients: Mapping[str, str]
    scores: Callable[[str], Mapping[str, float]]
    validation_patients: frozenset[str] = frozenset()
    features: Callable[[str], Mapping[str, NDArray[np.float32]]] = _no_features


class QueryStrategy(Protocol):
    """Ranks a pool. A strategy holds no state between calls: all randomness comes from `rng`."""

    @property
    def name(self) -> str:
        """Name that clients ask for it by."""

    def rank(self, pool: Pool, rng: np.random.Generator) -> list[Query]:
        """All unlabelled images of the pool, each once, the most wanted first; an empty pool gives []."""
