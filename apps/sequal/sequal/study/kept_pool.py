"""The pool of a study that a server keeps: a query costs the same, however many images there are."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import overload

import numpy as np

from sequal.acquisition import Candidate, Pool
from sequal.acquisition.shuffled import shuffled
from sequal.study.pool_index import PoolIndex
from sequal.study.state import Split, StudyState

__all__ = ["kept_pool"]


def kept_pool(
    state: StudyState,
    digest: str | None,
    index: PoolIndex,
    patients: Mapping[str, str],
    version: object,
    skipped: Collection[str],
) -> Pool:
    """The pool as `study_pool` makes it, from what is kept: nothing is read or sorted before it is asked for.

    Whoever asks holds `index.lock` while a strategy looks at the pool.

    Args:
        state: of the study.
        digest: of the checkpoint in service, whose scores and features count; None: there are none.
        index: which images are labelled.
        patients: patient by image id.
        version: of `patients`; equal as long as they say the same.
        skipped: images that an annotator found not usable; they are no part of the pool.

    Raises:
        StudyError: the recorded split cannot be understood.
    """
    split: Split = state.kept_split.get()[0]
    return Pool(
        unlabelled=_Without(index.unlabelled, skipped),
        labelled=index.labelled,
        patients=patients,
        scores=lambda name: state.ledger.scores(digest, name) if digest else {},
        validation_patients=split.patients,
        features=lambda kind: state.features.get(digest, kind) if digest else {},
        kept=_Order(state, digest, index.parted(patients, split.patients, version), skipped),
    )


@dataclass(frozen=True)
class _Order:
    """The order of a score from the ledger's index.

    Attributes:
        state: of the study.
        digest: of the checkpoint in service.
        parts: images that are asked for first, and those of validation patients.
        skipped: images that are left out.
    """

    state: StudyState
    digest: str | None
    parts: tuple[Sequence[str], Sequence[str]]
    skipped: Collection[str]

    def walk(self, acquisition: str | None, rng: np.random.Generator) -> Iterator[Candidate]:
        for part, last in zip(self.parts, (False, True), strict=True):
            scored = set[str]()
            if acquisition is not None and part:
                for image, score in self._best_first(acquisition, rng):
                    if image in part:
                        scored.add(image)
                        yield Candidate(image, score, last)
                    if len(scored) == len(part):
                        break
            yield from (Candidate(image, None, last) for image in shuffled(part, rng) if self._is_left(image, scored))

    def failed(self, acquisition: str) -> bool:
        return self.digest is not None and self.state.ledger.all_failed(self.digest, acquisition)

    def _best_first(self, acquisition: str, rng: np.random.Generator) -> Iterator[tuple[str, float]]:
        """By falling score, ties in random order as far as they are read together; without skipped images."""
        if self.digest is None:
            return
        for batch in self.state.ledger.best_first(self.digest, acquisition):
            for _, ties in groupby(batch, lambda entry: entry[1]):
                equal = [entry for entry in ties if entry[0] not in self.skipped]
                yield from equal if len(equal) < 2 else (equal[i] for i in rng.permutation(len(equal)))

    def _is_left(self, image: str, scored: Collection[str]) -> bool:
        return image not in scored and image not in self.skipped


@dataclass(frozen=True)
class _Without(Sequence[str]):
    """Sorted ids without some of them, not copied."""

    ids: Sequence[str]
    left_out: Collection[str]

    def __iter__(self) -> Iterator[str]:
        return (image for image in self.ids if image not in self.left_out)

    def __len__(self) -> int:
        return len(self.ids) - sum(image in self.ids for image in self.left_out)

    def __contains__(self, image: object) -> bool:
        return image in self.ids and image not in self.left_out

    @overload
    def __getitem__(self, place: int) -> str: ...

    @overload
    def __getitem__(self, place: slice) -> Sequence[str]: ...

    def __getitem__(self, place: int | slice) -> str | Sequence[str]:
        return tuple(self)[place]
