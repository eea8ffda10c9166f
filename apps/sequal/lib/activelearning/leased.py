"""A query strategy at the server: ranks the pool, and leases its first free image to the annotator who asks."""

import logging
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from itertools import islice
from pathlib import Path
from typing import Any, Final, Protocol, runtime_checkable

from fastapi import HTTPException, status
from monailabel.interfaces.datastore import Datastore
from monailabel.interfaces.tasks.strategy import Strategy

from lib.configs import Study, refusal
from sequal.acquisition import Query, QueryStrategy
from sequal.errors import SequalError
from sequal.files.imaging.readable import ReadableFiles
from sequal.study.pool import query_generator

__all__ = ["LeasedStrategy"]

logger = logging.getLogger(__name__)

#: Images that a strategy is asked for at a time.
_AT_ONCE: Final = 16


class LeasedStrategy(Strategy):
    """Answers from the study's state alone: no network runs while an annotator waits."""

    def __init__(self, study: Study, strategy: QueryStrategy) -> None:
        super().__init__(f"Next frame by {strategy.name.replace('_', ' ')}, kept for the annotator who asked")
        self._study = study
        self._strategy = strategy
        self._files = ReadableFiles()

    def __call__(self, request: dict[str, Any], datastore: Datastore) -> dict[str, Any]:
        """`{"id", "score", "reason"}`, or `{}` when no image is left for this annotator."""
        try:
            return self._next(request.get("client_id"), datastore)
        except SequalError as error:
            raise refusal(error) from error

    def _next(self, client: str | None, datastore: Datastore) -> dict[str, Any]:
        pool, lock = self._study.pool(datastore)
        asked = _Asked(self._strategy.queries(pool, query_generator(self._study.settings.seed, pool)), lock)
        while True:
            image = self._study.state.ledger.acquire_lease(asked, client, self._study.settings.lease_minutes * 60.0)
            if image is None:
                return {}
            if self._is_there(image, datastore):
                chosen = asked.known[image]
                return {"id": chosen.id, "score": chosen.score, "reason": chosen.reason}
            del asked.known[image]

    def _is_there(self, image: str, datastore: Datastore) -> bool:
        """Whether the annotator will get the image; one that cannot be had, or was labelled just now, is free again.

        Raises:
            HTTPException: where the image is, there is no answer.
        """
        if isinstance(datastore, _SeesLabelFiles) and datastore.has_label_file(image):
            # Another server stored it, and this one has not listed it yet.
            self._study.state.ledger.release(image)
            return False
        try:
            problem = self._files.problem(Path(datastore.get_image_uri(image)))
        except HTTPException as error:
            self._study.state.ledger.release(image)
            if error.status_code != status.HTTP_400_BAD_REQUEST:
                raise
            problem = str(error.detail)
        if problem:
            self._study.state.ledger.release(image)
            logger.warning("Passing over image %s: %s", image, problem)
        return not problem


class _Asked(Iterable[str]):
    """The ids of queries, in their order, found in small numbers as they are asked for.

    Attributes:
        known: what was found and may still be leased; the ids begin with these when they are gone through again.
    """

    def __init__(self, queries: Iterator[Query], lock: AbstractContextManager[object]) -> None:
        self.known: dict[str, Query] = {}
        self._queries, self._lock = queries, lock

    def __iter__(self) -> Iterator[str]:
        yield from list(self.known)
        while found := self._more():
            yield from found

    def _more(self) -> list[str]:
        with self._lock:  # not while the ledger is waited for: labels are saved meanwhile
            found = {query.id: query for query in islice(self._queries, _AT_ONCE)}
        self.known |= found
        return list(found)


@runtime_checkable
class _SeesLabelFiles(Protocol):
    """A datastore of files that another server may write as well."""

    def has_label_file(self, image_id: str) -> bool:
        """Whether a final label of the image is there now."""
