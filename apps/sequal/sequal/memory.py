"""Memory that is used no more goes back to the system."""

import ctypes
import logging
import threading
import time
from typing import Final

import psutil

__all__ = ["give_memory_back", "watch_memory"]

logger = logging.getLogger(__name__)

_EVERY_S: Final = 5.0
_GROWN: Final = 200 << 20


def give_memory_back() -> bool:
    """Give free memory of this process back to the system, that of every thread.

    By itself glibc keeps blocks of up to 32 MiB for later, in each thread apart. To give every block back at once
    would make inferences twice as slow.

    Returns:
        Whether the C library of this process knows how to.
    """
    try:
        trim = ctypes.CDLL(None).malloc_trim
    except (AttributeError, OSError, TypeError):  # another C library, another system
        return False
    trim(0)
    return True


def watch_memory(every_s: float = _EVERY_S, grown: int = _GROWN) -> threading.Thread:
    """Give free memory back whenever this process has grown, in a thread that ends with it.

    A server whose threads took turns at images of some million pixels kept 800 MiB that it did not need.

    Args:
        every_s: seconds between two looks.
        grown: bytes more than after the last time.
    """
    process = psutil.Process()

    def watch() -> None:
        before = process.memory_info().rss
        while True:
            time.sleep(every_s)
            now = process.memory_info().rss
            if now > before + grown:
                if not give_memory_back():
                    return
                before = process.memory_info().rss
                logger.info("Gave %d MiB of free memory back", (now - before) >> 20)
            before = min(before, now)

    thread = threading.Thread(target=watch, name="memory", daemon=True)
    thread.start()
    return thread
