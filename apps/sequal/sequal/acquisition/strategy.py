"""What a query strategy is: it ranks the pool, the most wanted image first."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

__all__ = ["Candidate", "KeptOrder", "Pool", "Query", "QueryStrategy", "Ranking", "Walking"]


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


class Candidate(NamedTuple):
    """An unlabelled image in the order of a score.

    Attributes:
        image: image id.
        score: finite, or None where there is none.
        last: its patient is in the frozen validation, so that it comes after all others.
    """

    image: str
    score: float | None
    last: bool


class KeptOrder(Protocol):
    """The order of `candidates_in_order` from what a study keeps, without going through the whole pool."""

    def walk(self, acquisition: str | None, rng: np.random.Generator) -> Iterator[Candidate]:
        """The unlabelled images by an acquisition function, or in random order; found as they are asked for."""

    def failed(self, acquisition: str) -> bool:
        """Whether images were tried, and none has a score."""


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
        kept: a quicker way to the order of a score; None: the pool is sorted.
    """

    unlabelled: Sequence[str]
    labelled: Sequence[str]
    patients: Mapping[str, str]
    scores: Callable[[str], Mapping[str, float]]
    validation_patients: frozenset[str] = frozenset()
    features: Callable[[str], Mapping[str, NDArray[np.float32]]] = _no_features
    kept: KeptOrder | None = None


class QueryStrategy(Protocol):
    """Ranks a pool. A strategy holds no state between calls: all randomness comes from `rng`."""

    @property
    def name(self) -> str:
        """Name that clients ask for it by."""

    def queries(self, pool: Pool, rng: np.random.Generator) -> Iterator[Query]:
        """The unlabelled images of the pool, each once, the most wanted first; whoever needs one pays for one."""

    def rank(self, pool: Pool, rng: np.random.Generator) -> list[Query]:
        """All of them; an empty pool gives []."""


class Walking:
    """A strategy that finds its queries one by one, in `queries`."""

    def queries(self, pool: Pool, rng: np.random.Generator) -> Iterator[Query]:
        """The unlabelled images of the pool, each once, the most wanted first."""
        raise NotImplementedError

    def rank(self, pool: Pool, rng: np.random.Generator) -> list[Query]:
        """All unlabelled images of the pool, each once, the most wanted first; an empty pool gives []."""
        return list(self.queries(pool, rng))


class Ranking:
    """A strategy that has to see the whole pool, in `rank`."""

    def rank(self, pool: Pool, rng: np.random.Generator) -> list[Query]:
        """All unlabelled images of the pool, each once, the most wanted first."""
        raise NotImplementedError

    def queries(self, pool: Pool, rng: np.random.Generator) -> Iterator[Query]:
        """The unlabelled images of the pool, each once, the most wanted first."""
        yield from self.rank(pool, rng)
