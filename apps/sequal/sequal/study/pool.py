"""The pool that a query strategy ranks, put together from the state of a study.

The server's strategies and `cli.py status` share it, so that both show the same order.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from sequal.acquisition import Pool
from sequal.study.state import Split, StudyState

__all__ = ["query_generator", "study_pool"]


def study_pool(
    state: StudyState,
    digest: str | None,
    unlabelled: Sequence[str],
    labelled: Sequence[str],
    patients: Mapping[str, str],
) -> Pool:
    """The pool of a study as its ledger knows it; images that an annotator skipped are no part of it.

    Args:
        state: of the study.
        digest: of the checkpoint in service, whose scores and features count; None: there are none.
        unlabelled: image ids.
        labelled: image ids.
        patients: patient by image id, for all of them.

    Raises:
        StudyError: the recorded split cannot be understood, or the ledger not read.
    """
    return Pool(
        unlabelled=tuple(sorted(set(unlabelled) - state.ledger.skipped())),
        labelled=tuple(sorted(labelled)),
        patients=patients,
        scores=lambda name: state.ledger.scores(digest, name) if digest else {},
        validation_patients=Split.load(state.split_file).patients,
        features=lambda kind: state.features.get(digest, kind) if digest else {},
    )


def query_generator(seed: int, pool: Pool) -> np.random.Generator:
    """Randomness of one query: it moves with every label, so that ties do not repeat the same order for ever."""
    return np.random.default_rng([seed, len(pool.labelled)])
