"""The labels a round learns from: the expert's y, or its refined copy ỹ."""

import logging
from collections.abc import Iterable, Iterator
from contextlib import suppress

import numpy as np
from numpy.typing import NDArray

from sequal.anatomy.models import model_of
from sequal.errors import ImageError, LabelError
from sequal.files.imaging import Frame, read_frame, says_no_layer
from sequal.preparation.working_frame import WorkingFrame
from sequal.preparation.working_frames import WorkingFrames
from sequal.settings import Settings
from sequal.study.items import Item
from sequal.study.state import RefinedStore, file_digest

__all__ = ["LabelsInUse"]

logger = logging.getLogger(__name__)


class LabelsInUse:
    """Current labels ỹ of labelled items, on their own grid and on the working grid.

    ỹ is the refined label when one exists for exactly this version of the expert's file, else y with the
    supervision rule applied. The expert's file is only ever read, and only once: what an expert changes during a
    round counts from the next one. A label that cannot be used is logged once and remembered in `unusable` with its
    reason.
    """

    def __init__(self, frames: WorkingFrames, refined: RefinedStore, settings: Settings) -> None:
        self._frames, self._refined = frames, refined
        self._model = model_of(settings)
        self._expert: dict[str, tuple[NDArray[np.uint8], str]] = {}
        self._working: dict[str, NDArray[np.uint8]] = {}
        self._replaced: dict[str, NDArray[np.uint8]] = {}
        self.unusable: dict[str, str] = {}

    def usable(self, items: list[Item]) -> list[Item]:
        """Those of `items` whose image and label can both be used, in the same order."""
        return [item for item in items if self._try(item)]

    def expert(self, item: Item) -> NDArray[np.uint8]:
        """Y in the array of the image: uint8, classes and 255, supervision applied.

        Where the expert says that nothing is there, every pixel is background under every rule of supervision.

        Raises:
            LabelError: the label cannot be read, does not fit the image, or says nothing that can be learnt.
        """
        return self._read(item)[0]

    def with_images(self, items: Iterable[Item]) -> Iterator[tuple[NDArray[np.uint8], Frame]]:
        """The expert's labels, as `expert`, each with its image; without those that cannot be read any more."""
        for item in items:
            with suppress(ImageError, LabelError):
                yield self.expert(item), read_frame(item.image)

    def digest(self, item: Item) -> str:
        """Digest of the expert's file from which `expert` was read.

        Raises:
            LabelError: as `expert`.
        """
        return self._read(item)[1]

    def no_layer(self, item: Item) -> bool:
        """Whether the expert says that the image does not show what is segmented.

        Raises:
            LabelError: as `expert`.
        """
        return says_no_layer(self._read(item)[0])

    def current(self, item: Item) -> NDArray[np.uint8]:
        """ỹ in the array of the image: uint8, classes and 255.

        Raises:
            LabelError: as `expert`.
        """
        replaced = self._replaced.get(item.id)
        if replaced is not None:
            return replaced
        expert, digest = self._read(item)
        refined = self._refined.get(item.id, digest)
        return expert if refined is None or refined.shape != expert.shape else refined

    def working(self, item: Item) -> NDArray[np.uint8]:
        """ỹ on the working grid, uint8 (F, *working)."""
        cached = self._working.get(item.id)
        if cached is None:
            cached = self._model.to_working(self.current(item), self._frame(item).grid)
            self._working[item.id] = cached
        return cached

    def replace(self, item: Item, label: NDArray[np.uint8]) -> None:
        """Use `label` (uint8, the array of the image) from now on in this round; nothing is written."""
        self._replaced[item.id] = label
        self._working.pop(item.id, None)

    def _read(self, item: Item) -> tuple[NDArray[np.uint8], str]:
        read = self._expert.get(item.id)
        if read is None:
            read = self._expert[item.id] = self._read_file(item)
        return read

    def _read_file(self, item: Item) -> tuple[NDArray[np.uint8], str]:
        frame = self._frame(item)
        if item.label is None:
            raise LabelError(f"Expected {item.id} to have a label, got none. Label it first.")
        try:
            # Before the pixels: a label that is replaced meanwhile then gets the older digest, and counts as stale.
            digest = file_digest(item.label)
        except OSError as error:
            raise LabelError(
                f"Expected the label of {item.id} to be readable, got: {error}. Label it again."
            ) from error
        return self._model.read_label(item.label, frame), digest

    def _frame(self, item: Item) -> WorkingFrame:
        frame = self._frames.get(item)
        if frame is None:
            raise LabelError(
                f"Expected the image of label {item.id} to be readable, got: {self._frames.unreadable[item.id]}"
            )
        return frame

    def _try(self, item: Item) -> bool:
        try:
            self.working(item)
        except LabelError as error:
            logger.warning("Leaving out label %s: %s", item.id, error)
            self.unusable[item.id] = str(error)
            return False
        return True
