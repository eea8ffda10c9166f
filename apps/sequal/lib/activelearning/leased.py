"""A query strategy at the server: ranks the pool, and leases its first free image to the annotator who asks."""

from typing import Any

import numpy as np
from monailabel.interfaces.datastore import Datastore
from monailabel.interfaces.tasks.strategy import Strategy

from lib.acquisition import Pool, QueryStrategy
from lib.configs import Study
from lib.configs.refusal import refusal
from lib.errors import SequalError
from lib.state import Split

__all__ = ["LeasedStrategy"]


class LeasedStrategy(Strategy):
    """Answers from the ledger alone: no network runs while an annotator waits."""

    def __init__(self, study: Study, strategy: QueryStrategy) -> None:
        super().__init__(f"Next frame by {strategy.name.replace('_', ' ')}, kept for the annotator who asked")
        self._study = study
        self._strategy = strategy

    def __call__(self, request: dict[str, Any], datastore: Datastore) -> dict[str, Any]:
        """`{"id", "score", "reason"}`, or `{}` when no image is left for this annotator."""
        try:
            return self._next(request.get("client_id"), datastore)
        except SequalError as error:
            raise refusal(error) from error

    def _next(self, client: str | None, datastore: Datastore) -> dict[str, Any]:
        pool = self._pool(datastore)
        # The seed moves with every label, so that ties and random draws do not repeat the same order for ever.
        rng = np.random.default_rng([self._study.settings.seed, len(pool.labelled)])
        ranked = self._strategy.rank(pool, rng)
        image = self._study.state.ledger.acquire_lease(
            [query.id for query in ranked], client, self._study.settings.lease_minutes * 60.0
        )
        chosen = next((query for query in ranked if query.id == image), None)
        if chosen is None:
            return {}
        return {"id": chosen.id, "score": chosen.score, "reason": chosen.reason}

    def _pool(self, datastore: Datastore) -> Pool:
        study = self._study
        unlabelled, labelled = (
            sorted(datastore.get_unlabeled_images()),
            sorted(datastore.get_labeled_images()),
        )
        digest = study.served.digest
        return Pool(
            unlabelled=tuple(unlabelled),
            labelled=tuple(labelled),
            patients=study.patients(unlabelled + labelled),
            scores=lambda name: study.state.ledger.scores(digest, name) if digest else {},
            validation_patients=Split.load(study.state.split_file).patients,
        )
