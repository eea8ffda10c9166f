"""A thread that notices what other programs change in a study's folder, and writes its list in quiet moments."""

import logging
import threading
import time
import weakref
from collections.abc import Callable
from typing import Final, Protocol

__all__ = ["FolderWatch", "Watched"]

logger = logging.getLogger(__name__)

_EVERY_S: Final = 1.0
_QUIET_S: Final = 30.0
#: Part of the time that listing a folder, and writing the list, may take at most.
_SHARE: Final = 0.05


class Watched(Protocol):
    """What is watched; it is quick where nothing has changed."""

    def look(self) -> None:
        """Find what other programs changed."""

    def quiet_s(self) -> float:
        """Seconds since something was noted that is not in the list yet; 0 where all is."""

    def put_changes_into_list(self) -> None:
        """Write the list."""


class FolderWatch(threading.Thread):
    """Looks every second, less often where looking takes long; ends with what it watches.

    A folder's own time of change tells whether files came or went, on local disks and on network ones; its files are
    not gone through.

    Args:
        watched: a study.
    """

    def __init__(self, watched: Watched) -> None:
        super().__init__(name="folder-watch", daemon=True)
        self._watched = weakref.ref(watched)

    def run(self) -> None:
        """Watch until nobody else holds what is watched."""
        wait_s, next_writing = _EVERY_S, 0.0
        while True:
            time.sleep(wait_s)
            watched = self._watched()
            if watched is None:
                return
            wait_s = max(_EVERY_S, _timed(watched.look) / _SHARE)
            if watched.quiet_s() > _QUIET_S and time.monotonic() > next_writing:
                next_writing = time.monotonic() + _timed(watched.put_changes_into_list) / _SHARE
            del watched


def _timed(action: Callable[[], None]) -> float:
    start = time.monotonic()
    try:
        action()
    except Exception:
        logger.exception("The studies folder could not be looked at; it is tried again")
    return time.monotonic() - start
