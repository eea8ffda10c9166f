"""When a scoring starts without being asked for."""

import logging
import threading
import time
from collections.abc import Iterable, Sequence
from typing import Final

from monailabel.interfaces.datastore import Datastore
from monailabel.utils.async_tasks.task import AsyncTask
from monailabel.utils.async_tasks.utils import tasks

from lib.configs import Study
from lib.scoring.pld import unscored

__all__ = ["AutoScoring"]

logger = logging.getLogger(__name__)

#: After this time it is looked again, whatever seems to have happened: another server may have changed something.
_AGAIN_S: Final = 60.0


class AutoScoring:
    """Starts a scoring when something is unscored and no task that uses the processor is running or waiting.

    What was tried and is still unscored (the checkpoint is damaged, the process was stopped) is not tried again until
    something else is to be scored. Annotators do not wait for it: whether something is unscored is found out in a
    thread, and only when it may be another answer than before.

    Args:
        studies: those that are scored; each has settings, a ledger and a model in service.
        methods: names of the scoring methods.
    """

    def __init__(self, studies: Sequence[Study], methods: Iterable[str]) -> None:
        self._studies, self._methods = studies, tuple(methods)
        self._turn = threading.Lock()
        self._looked: object = None
        self._tried: dict[str, tuple[str | None, frozenset[str]]] = {}

    def ask(self, datastore: Datastore, *, wait: bool = False) -> None:
        """Look, and start a scoring where one is wanted; returns at once.

        Args:
            datastore: of the server.
            wait: return when it was looked.
        """
        seen = self._seen(datastore)
        if seen == self._looked or not self._turn.acquire(blocking=False):
            return
        thread = threading.Thread(target=self._look, args=(datastore, seen), name="auto-scoring", daemon=True)
        thread.start()
        if wait:
            thread.join()

    def _seen(self, datastore: Datastore) -> object:
        """What decides whether there may be something new to score, found at once."""
        over = sum("end_ts" in task for kind in ("scoring", "train") for task in tasks(kind))
        known = tuple((study.served.digest, _grown(study.own(datastore))) for study in self._studies)
        return known, over, time.monotonic() // _AGAIN_S

    def _look(self, datastore: Datastore, seen: object) -> None:
        try:
            if any(task["status"] in {"SUBMITTED", "RUNNING"} for kind in ("scoring", "train") for task in tasks(kind)):
                return  # it is looked again when the task is over
            for study in self._studies:
                model = study.model.name
                stale = study.served.digest, frozenset(item.id for item in unscored(study, datastore))
                if stale[1] and stale != self._tried.get(model):
                    self._tried[model] = stale
                    for method in self._methods:
                        AsyncTask.run("scoring", request={"method": method, "model": model}, enqueue=True)
            self._looked = seen
        except Exception:
            logger.exception("Whether something is unscored could not be found out; it is tried again")
        finally:
            self._turn.release()


def _grown(datastore: Datastore) -> float:
    index = getattr(datastore, "pool_index", None)
    return time.monotonic() if index is None else index.grown
