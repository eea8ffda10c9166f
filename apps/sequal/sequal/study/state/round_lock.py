"""One round of a study at a time, over all servers that share its ledger."""

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from sequal.errors import PublishError, StudyError
from sequal.study.state.locks import Locks
from sequal.study.state.processes import process_name

__all__ = ["ROUND", "RoundLock", "round_lock"]

logger = logging.getLogger(__name__)

#: Name of the lock.
ROUND: Final = "round"
_HOLD_S: Final = 120.0
_POLL_S: Final = 1.0
#: Threads of one process have one name in the ledger.
_HERE: Final = threading.Lock()


class RoundLock:
    """The lock of a running round, renewed in a thread of its own until it is given back.

    Args:
        ledger: of the study.
        holder: this process.
        hold_s: after how many seconds another process may take it, should this one stop renewing it.
    """

    def __init__(self, ledger: Locks, holder: str, hold_s: float = _HOLD_S) -> None:
        self._ledger, self._holder, self._hold_s = ledger, holder, hold_s
        self._end = threading.Event()
        self._until = time.monotonic() + hold_s
        self._lost = False
        self._thread = threading.Thread(target=self._renew, name="round-lock", daemon=True)
        self._thread.start()

    def check(self) -> None:
        """Make sure that the round is still this process's; called before anything is published.

        Raises:
            PublishError: another process may have taken over, because this one stood still for too long.
        """
        if self._lost or time.monotonic() > self._until:
            raise PublishError(
                "Expected this training to keep the study's lock, got a lock that ran out: the process stood still for "
                f"more than {self._hold_s:g} s, or the ledger was not reached. The new model is not used; train again."
            )

    def end(self) -> None:
        """Give the lock back."""
        self._end.set()
        self._thread.join()
        try:
            self._ledger.free_lock(ROUND, self._holder)
        except StudyError as error:
            logger.warning("The lock of the round is left to run out: %s", error)

    def _renew(self) -> None:
        while not self._end.wait(self._hold_s / 6):
            asked = time.monotonic()
            try:
                self._lost = not self._ledger.renew_lock(ROUND, self._holder, self._hold_s)
            except StudyError as error:
                logger.warning("The lock of the round cannot be renewed: %s", error)
                continue
            if self._lost:
                return
            self._until = asked + self._hold_s


@contextmanager
def round_lock(
    ledger: Locks, waiting: Callable[[str], None] = lambda _: None, *, poll_s: float = _POLL_S, hold_s: float = _HOLD_S
) -> Iterator[RoundLock]:
    """Wait until no round of the study runs, on any server, and keep others from starting one.

    Args:
        ledger: of the study.
        waiting: called once with the holder when there is one to wait for.
        poll_s: seconds between two questions.
        hold_s: as for `RoundLock`.

    Raises:
        StudyError: the ledger cannot be written.
    """
    with _HERE:
        holder, told = process_name(), False
        while (other := ledger.take_lock(ROUND, holder, hold_s)) is not None:
            if not told:
                logger.info("Waiting for the round of process %s", other)
                waiting(other)
                told = True
            time.sleep(poll_s)
        lock = RoundLock(ledger, holder, hold_s)
        try:
            yield lock
        finally:
            lock.end()
