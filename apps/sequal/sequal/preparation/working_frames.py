"""Frames on their working grid, read when needed and kept within a memory bound."""

import logging
from collections import OrderedDict
from dataclasses import dataclass

import torch
from torch import Tensor

from sequal.errors import ImageError
from sequal.files.imaging.frame import Frame
from sequal.files.imaging.layout import PLAIN, Layout
from sequal.files.imaging.reading import read_frame
from sequal.preparation.normalisation import normalise_intensity
from sequal.preparation.working_grid import WorkingGrid
from sequal.settings import Settings
from sequal.study.items import Item

__all__ = ["WorkingFrame", "WorkingFrames", "to_working"]

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class WorkingFrame:
    """One image file, ready for the networks.

    Attributes:
        pixels: float16 (F, 1, W, H) in 0..1 on the working grid, F frames.
        grid: the way to and from the frame's own (W, H).
        layout: how the frame lies in its file.
    """

    pixels: Tensor
    grid: WorkingGrid
    layout: Layout = PLAIN

    @property
    def frames(self) -> int:
        """Number of frames: 1 for a still, more for a clip."""
        return self.pixels.shape[0]


def to_working(frame: Frame, settings: Settings) -> WorkingFrame:
    """Bring every frame of an image to the working grid, normalised.

    Args:
        frame: as read from file, any size and spacing.
        settings: `working_spacing_mm` and `max_working_pixels` are used.
    """
    width, height, count = frame.grid
    grid = WorkingGrid.of((width, height), frame.calibration, settings.working_spacing_mm, settings.max_working_pixels)
    pixels = [grid.image_to_working(normalise_intensity(frame.pixels[:, :, f])).half() for f in range(count)]
    return WorkingFrame(torch.stack(pixels), grid, frame.layout)


class WorkingFrames:
    """Reads images, brings them to the working grid and keeps the last used ones.

    An image that cannot be read is logged once, remembered in `unreadable` with its reason and given as None, so
    that one corrupt file stops neither a round nor a scoring.

    Args:
        settings: `working_spacing_mm` and `max_working_pixels` are used.
        cache_bytes: what the cache may hold; least recently used images are dropped first.
    """

    def __init__(self, settings: Settings, cache_bytes: int = 1 << 30) -> None:
        self._settings = settings
        self._cache_bytes = cache_bytes
        self._cache: OrderedDict[str, WorkingFrame] = OrderedDict()
        self._held_bytes = 0
        self.unreadable: dict[str, str] = {}

    def get(self, item: Item) -> WorkingFrame | None:
        """The item's frames, or None when its file cannot be read."""
        if item.id in self.unreadable:
            return None
        frame = self._cache.get(item.id)
        if frame is None:
            try:
                frame = to_working(read_frame(item.image), self._settings)
            except ImageError as error:
                logger.warning("Leaving out image %s: %s", item.id, error)
                self.unreadable[item.id] = str(error)
                return None
            self._keep(item.id, frame)
        self._cache.move_to_end(item.id)
        return frame

    def readable(self, items: list[Item]) -> list[Item]:
        """Those of `items` whose file can be read, in the same order."""
        return [item for item in items if self.get(item) is not None]

    def _keep(self, key: str, frame: WorkingFrame) -> None:
        self._cache[key] = frame
        self._held_bytes += frame.pixels.nbytes
        while self._held_bytes > self._cache_bytes and len(self._cache) > 1:
            _, dropped = self._cache.popitem(last=False)
            self._held_bytes -= dropped.pixels.nbytes
