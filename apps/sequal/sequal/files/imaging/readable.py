"""Whether a file can be read as an image, found out once for each version of the file."""

import threading
from pathlib import Path
from typing import Final

from cachetools import FIFOCache

from sequal.errors import ImageError
from sequal.files.imaging.claims import large_images_take_turns
from sequal.files.imaging.reading import read_frame

__all__ = ["ReadableFiles"]

_Stamp = tuple[int, int, int, int]
_CAPACITY: Final = 100_000


class ReadableFiles:
    """Remembers which files were read, and which could not be; safe to use from several threads."""

    def __init__(self) -> None:
        self._known: FIFOCache[_Stamp, str] = FIFOCache(_CAPACITY)
        self._lock = threading.Lock()

    def problem(self, path: Path) -> str:
        """Why a file cannot be read as an image; empty when it can, or when there is no file.

        >>> ReadableFiles().problem(Path("nowhere.png"))
        ''
        """
        try:
            found = path.stat()
        except OSError:
            return ""  # whoever asks for the file itself says so
        stamp = found.st_dev, found.st_ino, found.st_mtime_ns, found.st_size
        with self._lock:
            if stamp in self._known:
                return self._known[stamp]
        try:
            with large_images_take_turns(path):
                read_frame(path)
            problem = ""
        except ImageError as error:
            problem = str(error)
        with self._lock:
            self._known[stamp] = problem
        return problem
