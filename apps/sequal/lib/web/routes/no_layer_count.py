"""How many labels say that their frame shows no layer."""

import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from monailabel.interfaces.datastore import Datastore, DefaultLabelTag

from lib.datastores.label_guard import NO_LAYER
from sequal.files.imaging import stored_label_says_no_layer

__all__ = ["NoLayerCount"]

_FINAL: Final = DefaultLabelTag.FINAL
#: Of one question: labels that were copied into the folder have to be read, and ten thousand of them take a while.
_LONGEST_S: Final = 1.0


class NoLayerCount:
    """Counts them, and remembers what each label file says until it changes; safe to use from several threads.

    Args:
        files: whether the labels lie in a folder, into which anybody may have copied them; else only what was noted
            when they came is known here.
    """

    def __init__(self, *, files: bool) -> None:
        self._files = files
        self._lock = threading.Lock()
        self._known: dict[str, tuple[object, bool]] = {}

    def of(self, store: Datastore, labelled: Sequence[str], longest_s: float = _LONGEST_S) -> tuple[int, bool]:
        """Count.

        Args:
            store: gives the labels.
            labelled: images with a submitted label.
            longest_s: how long files are read; the next call goes on.

        Returns:
            The labels that say so, and whether all were looked at.
        """
        end, found, complete = time.monotonic() + longest_s, 0, True
        with self._lock:
            for image in labelled:
                says = self._says(store, image) if time.monotonic() < end else None
                found += says is True
                complete = complete and says is not None
        return found, complete

    def _says(self, store: Datastore, image: str) -> bool:
        noted = bool(store.get_label_info(image, _FINAL).get(NO_LAYER))
        if noted or not self._files:
            return noted
        path = Path(store.get_label_uri(image, _FINAL))
        try:
            found = path.stat()
        except OSError:
            return False
        stamp = found.st_ino, found.st_mtime_ns, found.st_size
        known = self._known.get(image)
        if known is None or known[0] != stamp:
            known = self._known[image] = stamp, stored_label_says_no_layer(path)
        return known[1]
