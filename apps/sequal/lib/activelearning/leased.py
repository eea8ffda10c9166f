"""A query strategy at the server: ranks the pool, and leases its first free image to the annotator who asks."""

from typing import Any

from monailabel.interfaces.datastore import Datastore
from monailabel.interfaces.tasks.strategy import Strategy

from lib.acquisition import Pool, QueryStrategy
from lib.configs import Study, refusal
from lib.errors import SequalError
from lib.study_pool import query_generator, study_pool

__all__ = ["LeasedStrategy"]


class LeasedStrategy(Strategy):
    """Answers from the study's state alone: no network runs while an annotator waits."""

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
        ranked = self._strategy.rank(pool, query_generator(self._study.settings.seed, pool))
        image = self._study.state.ledger.acquire_lease(
            [query.id for query in ranked], client, self._study.settings.lease_minutes * 60.0
        )
        chosen = next((query for query in ranked if query.id == image), None)
        if chosen is None:
            return {}
        return {"id": chosen.id, "score": chosen.score, "reason": chosen.reason}

    def _pool(self, datastore: Datastore) -> Pool:
        study = self._study
        unlabelled, labelled = datastore.get_unlabeled_images(), datastore.get_labeled_images()
        patients = study.patients(unlabelled + labelled)
        return study_pool(study.state, study.served.digest, unlabelled, labelled, patients)
