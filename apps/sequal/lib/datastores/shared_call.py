"""A call that many wait for, none of them longer than it is worth."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Generic, TypeVar

__all__ = ["SharedCall"]

T = TypeVar("T")


class SharedCall(Generic[T]):
    """Makes a slow call in a thread of its own, one at a time.

    Whoever asks while a call is being made waits for that call. After one timeout, further callers fail at once.

    Args:
        call: what is called.
        patience_s: longest wait for a call, counted from its start.
    """

    def __init__(self, call: Callable[[], T], patience_s: float) -> None:
        self._call, self._patience_s = call, patience_s
        self._turn = threading.Lock()
        self._until = 0.0
        self._made: Future[T] | None = None

    def result(self) -> T:
        """What the call returns.

        Raises:
            TimeoutError: it takes longer; it goes on all the same.
            Exception: whatever the call raises.
        """
        with self._turn:
            if self._made is None or self._made.done():
                self._made, self._until = Future(), time.monotonic() + self._patience_s
                # Ends with the process, even in the middle of a call.
                threading.Thread(target=self._make, args=[self._made], name="shared-call", daemon=True).start()
            made, until = self._made, self._until
        return made.result(max(0.0, until - time.monotonic()))

    def _make(self, made: "Future[T]") -> None:
        try:
            made.set_result(self._call())
        # Of whichever kind: it is raised where the result is asked for.
        except BaseException as error:
            made.set_exception(error)
