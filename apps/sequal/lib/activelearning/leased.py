"""A query strategy at the server: ranks the pool, and leases its first free image to the annotator who asks."""

import logging
from typing import Any

from fastapi import HTTPException, status
from monailabel.interfaces.datastore import Datastore
from monailabel.interfaces.tasks.strategy import Strategy

from lib.acquisition import Pool, QueryStrategy
from lib.configs import Study, refusal
from lib.errors import SequalError
from lib.study_pool import query_generator, study_pool

__all__ = ["LeasedStrategy"]

logger = logging.getLogger(__name__)


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
        by_id = {query.id: query for query in ranked}
        while by_id:
            image = self._lease(list(by_id), client)
            if image is None:
                break
            if self._is_there(image, datastore):
                chosen = by_id[image]
                return {"id": chosen.id, "score": chosen.score, "reason": chosen.reason}
            del by_id[image]
        return {}

    def _lease(self, ids: list[str], client: str | None) -> str | None:
        return self._study.state.ledger.acquire_lease(ids, client, self._study.settings.lease_minutes * 60.0)

    def _is_there(self, image: str, datastore: Datastore) -> bool:
        """Whether the annotator will get the image; one that cannot be had is free again.

        Raises:
            HTTPException: where the image is, there is no answer.
        """
        try:
            datastore.get_image_uri(image)
        except HTTPException as error:
            self._study.state.ledger.release(image)
            if error.status_code != status.HTTP_400_BAD_REQUEST:
                raise
            logger.warning("Passing over image %s: %s", image, error.detail)
            return False
        return True

    def _pool(self, datastore: Datastore) -> Pool:
        study = self._study
        unlabelled, labelled = datastore.get_unlabeled_images(), datastore.get_labeled_images()
        patients = study.patients(unlabelled + labelled, datastore)
        return study_pool(study.state, study.served.digest, unlabelled, labelled, patients)
