"""Names of processes that mean something on other machines as well, and whether the process of a name still works."""

import os
import platform
import signal
import threading
import time
from pathlib import Path
from typing import Final

import psutil

__all__ = ["end_with_parent", "has_ended", "machine_name", "process_name"]

_WATCH_S: Final = 1.0


def process_name() -> str:
    """A name of this process: its machine, its number and the second of its start.

    >>> has_ended(process_name())
    False
    """
    return f"{machine_name()}/{os.getpid()}/{int(psutil.Process().create_time())}"


def has_ended(name: str) -> bool:
    """Whether the process of a name is known to have ended.

    Args:
        name: as `process_name` gave it, on any machine.

    Returns:
        False for a process of another machine or container: what is not known has not ended.

    >>> has_ended("elsewhere/1/2"), has_ended("nonsense")
    (False, False)
    """
    machine, _, rest = name.rpartition("/")[0].rpartition("/")
    started = name.rpartition("/")[2]
    if machine != machine_name() or not rest.isdigit() or not started.isdigit():
        return False
    try:
        process = psutil.Process(int(rest))
        return bool(process.status() == psutil.STATUS_ZOMBIE or abs(process.create_time() - int(started)) > 2)
    except psutil.NoSuchProcess:
        return True


def machine_name() -> str:
    """The machine since its last start, and the container: elsewhere the number is another process's."""
    space = Path("/proc/self/ns/pid")
    container = os.readlink(space).strip("pid:[]") if space.is_symlink() else "0"
    return f"{platform.node()[:100]}-{int(psutil.boot_time()) // 10}-{container}"


def end_with_parent() -> None:
    """End this process when the one that started it ends, whatever ends that one.

    A training or a scoring whose server was killed would go on for hours, publish, and be in the way of the next one.
    What such a process writes is written by rename, so that it may end at any moment.
    """
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(_WATCH_S)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, name="end-with-parent", daemon=True).start()
