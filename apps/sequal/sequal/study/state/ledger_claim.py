"""Which state serves a study, told in a database that servers of several computers share."""

import logging
import threading
from typing import Final

from sequal.errors import StudyError
from sequal.study.state.locks import Locks

__all__ = ["LedgerClaim"]

logger = logging.getLogger(__name__)

_STATE: Final = "state"
_RENEW_S: Final = 20.0
_HOLD_S: Final = 120.0


class LedgerClaim:
    """The claim of a state on a study that lies elsewhere, renewed in a thread of its own.

    Two servers that share a database and not the state folder have a study each in it, and would know nothing of each
    other. Any number of servers with one state hold the claim together.

    Args:
        locks: of the study as all servers name it, whatever their state.
        state: what tells one state from another, as `StudyState.name` gives it.
        study: its address, for the error that another server gets.
        renew_s: seconds between two times that the claim is renewed.
        hold_s: after how many seconds another state may have it, should this server end without a word.

    Raises:
        StudyError: a server with another state serves the study now, or the database cannot be written.
    """

    def __init__(
        self, locks: Locks, state: str, study: str, *, renew_s: float = _RENEW_S, hold_s: float = _HOLD_S
    ) -> None:
        self._locks, self._state, self._study, self._hold_s = locks, state, study, hold_s
        self._renew_s, self._end, self._other = renew_s, threading.Event(), ""
        if self._taken():
            raise StudyError(self.contested())
        self._thread = threading.Thread(target=self._renew, name="ledger-claim", daemon=True)
        self._thread.start()

    def contested(self) -> str:
        """Why no further frame should be asked for: a server with another state has taken over; empty: none has."""
        if not self._other:
            return ""
        return (
            f"Expected every server of {self._study} to have one state, got {self._state} while the ledger says that a "
            f"server with {self._other} works on it. Give both the same `--conf state`, or stop the other server and "
            f"wait {self._hold_s:.0f} s."
        )

    def release(self) -> None:
        """Let servers with another state in."""
        self._end.set()
        self._thread.join()
        self._locks.free_lock(_STATE, self._state)

    def _taken(self) -> bool:
        self._other = self._locks.take_lock(_STATE, self._state, self._hold_s) or ""
        return bool(self._other)

    def _renew(self) -> None:
        while not self._end.wait(self._renew_s):
            try:
                if self._taken():
                    logger.error("%s", self.contested())
            except StudyError as error:
                logger.warning("The claim on the study cannot be renewed: %s", error)
