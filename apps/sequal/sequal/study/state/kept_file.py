"""What a file says, kept in memory until the file changes."""

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Generic, TypeVar

__all__ = ["KeptFile"]

_Content = TypeVar("_Content")


class KeptFile(Generic[_Content]):
    """Reads a file again only after it was replaced or written; safe to use from several threads.

    Args:
        path: the file; it may be absent.
        read: from the path to what it says, also where the file is absent.
    """

    def __init__(self, path: Path, read: Callable[[Path], _Content]) -> None:
        self._path, self._read = path, read
        self._lock = threading.Lock()
        self._kept: tuple[object, _Content] | None = None

    def get(self) -> tuple[_Content, object]:
        """What the file says now, and a version that is equal as long as the file is the same.

        Raises:
            StudyError: as `read` does; the file is then read again by the next call.
        """
        with self._lock:
            stamp = self._stamp()
            if self._kept is None or self._kept[0] != stamp:
                self._kept = (stamp, self._read(self._path))
            return self._kept[1], stamp

    def _stamp(self) -> object:
        try:
            found = self._path.stat()
        except OSError:
            return None
        return found.st_ino, found.st_mtime_ns, found.st_size
