"""How this program shares the processor with others: of its own, and of whoever else works on the machine.

Imports no torch: what is set here has to be set before torch is loaded, where that is possible.
"""

import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Final

import psutil

__all__ = ["Threads", "step_back", "step_back_thread", "wait_without_spinning"]

#: Of OpenMP, by which torch divides its work: a thread that waits for the others gives its core away at once. Else it
#: runs on in a circle, and where another program has a core, all wait most of the time for the one that does not run.
_PASSIVE: Final = {"OMP_WAIT_POLICY": "PASSIVE", "KMP_BLOCKTIME": "0"}
_NICENESS: Final = 10
_EVERY_S: Final = 1.0


def wait_without_spinning() -> None:
    """Let the threads of processes that are started from now on wait without using the processor.

    What the user has set himself stays. A process in which torch is loaded already is as it was.
    """
    for name, value in _PASSIVE.items():
        os.environ.setdefault(name, value)


def step_back() -> None:
    """Let others go first on the processor: for work that nobody waits for."""
    process = psutil.Process()
    with suppress(psutil.Error, OSError):
        if os.name == "posix":
            process.nice(max(process.nice(), _NICENESS))
        else:
            process.nice(psutil.BELOW_NORMAL_PRIORITY_CLASS)  # type: ignore[attr-defined] # on Windows alone


def step_back_thread() -> None:
    """The same for the thread that calls, on Linux, where each thread has a niceness of its own; nothing elsewhere."""
    if sys.platform == "linux":
        with suppress(OSError):
            me = threading.get_native_id()
            os.setpriority(os.PRIO_PROCESS, me, max(os.getpriority(os.PRIO_PROCESS, me), _NICENESS))


class Threads:
    """How many threads a computation that an annotator waits for should have.

    The cores that programs of ordinary priority leave free, divided by the computations of this process that run now,
    and at least one. What has stepped back, as rounds and scorings do, gives its cores away and does not count. One
    thread alone has nobody to wait for, so that a busy machine slows it down least.

    Args:
        most: as many as there may be.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._busy_cores = 0.0
        self._running = 0
        self._lock = threading.Lock()
        self._watch: threading.Thread | None = None

    @contextmanager
    def of_one(self) -> Iterator[int]:
        """Begin a computation: yields the number of its threads."""
        with self._lock:
            self._running += 1
            count = self._count()
            if self._watch is None:
                self._watch = threading.Thread(target=self._look, name="busy-cores", daemon=True)
                self._watch.start()
        try:
            yield count
        finally:
            with self._lock:
                self._running -= 1

    def _count(self) -> int:
        free = max(1, round(self._most - self._busy_cores))
        return max(1, min(self._most, free // max(1, self._running)))

    def _look(self) -> None:
        before = _used_s()
        while True:
            time.sleep(_EVERY_S)
            now = _used_s()
            self._busy_cores = max(0.0, (now[1] - before[1]) / max(now[0] - before[0], 1e-3))
            before = now


def _used_s() -> tuple[float, float]:
    """The time now, and the processor time of all other processes of ordinary priority, both in seconds."""
    every, own = psutil.cpu_times(), psutil.Process().cpu_times()
    return time.monotonic(), every.user + every.system - own.user - own.system
