"""Frames on their working grid, read when needed and kept within a memory bound."""

import logging
from contextlib import suppress
from typing import Final

from cachetools import LRUCache

from sequal.anatomy.models import model_of
from sequal.errors import ImageError
from sequal.files.imaging import Frame, read_frame
from sequal.preparation.working_frame import WorkingFrame
from sequal.settings import Settings
from sequal.study.items import Item

__all__ = ["WorkingFrames"]

logger = logging.getLogger(__name__)

#: Of the images as they were read, only the last: who scores a few frames together asks for them once more.
_IMAGE_BYTES: Final = 64 << 20


class WorkingFrames:
    """Reads images, brings them to the working grid and keeps the last used ones.

    An image that cannot be read is logged once, remembered in `unreadable` with its reason and given as None, so
    that one corrupt file stops neither a round nor a scoring.

    Args:
        settings: of the study.
        cache_bytes: what the cache may hold; least recently used images are dropped first.
    """

    def __init__(self, settings: Settings, cache_bytes: int = 1 << 30) -> None:
        self._settings, self._model = settings, model_of(settings)
        self._cache_bytes = cache_bytes
        self._cache: LRUCache[str, WorkingFrame] = LRUCache(cache_bytes, getsizeof=lambda frame: frame.pixels.nbytes)
        self._images: LRUCache[str, Frame] = LRUCache(_IMAGE_BYTES, getsizeof=lambda image: image.pixels.nbytes)
        self.unreadable: dict[str, str] = {}

    def __reduce__(self) -> tuple[type["WorkingFrames"], tuple[Settings, int]]:
        """Another process reads its images itself."""
        return WorkingFrames, (self._settings, self._cache_bytes)

    def get(self, item: Item) -> WorkingFrame | None:
        """The item's frames, or None when its file cannot be read."""
        if item.id in self.unreadable:
            return None
        frame = self._cache.get(item.id)
        if frame is None:
            try:
                frame = self._model.prepare(self._read(item))
            except ImageError as error:
                logger.warning("Leaving out image %s: %s", item.id, error)
                self.unreadable[item.id] = str(error)
                return None
            with suppress(ValueError):  # larger than the whole cache
                self._cache[item.id] = frame
        return frame

    def image(self, item: Item) -> Frame | None:
        """The item's image as it was read, or None when its file is gone since."""
        try:
            return self._images.get(item.id) or self._read(item)
        except ImageError:
            return None

    def readable(self, items: list[Item]) -> list[Item]:
        """Those of `items` whose file can be read, in the same order."""
        return [item for item in items if self.get(item) is not None]

    def _read(self, item: Item) -> Frame:
        image = read_frame(item.image)
        with suppress(ValueError):  # larger than may be kept
            self._images[item.id] = image
        return image
