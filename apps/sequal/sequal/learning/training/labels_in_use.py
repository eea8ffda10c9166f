"""The labels a round learns from: the expert's y, or its refined copy ỹ."""

import logging
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from sequal.errors import LabelError
from sequal.files.imaging import clean_label, read_label, says_no_layer
from sequal.labels import INTIMA_MEDIA
from sequal.learning.refinement import apply_supervision, far_background
from sequal.preparation.working_frames import WorkingFrame, WorkingFrames
from sequal.preparation.working_grid import LATERAL_FACTOR
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
        self._supervision = settings.supervision
        self._max_angle = settings.max_wall_angle
        self._pixel_mm = LATERAL_FACTOR * settings.working_spacing_mm, settings.working_spacing_mm
        self._expert: dict[str, tuple[NDArray[np.uint8], str]] = {}
        self._working: dict[str, NDArray[np.uint8]] = {}
        self._replaced: dict[str, NDArray[np.uint8]] = {}
        self.unusable: dict[str, str] = {}

    def usable(self, items: list[Item]) -> list[Item]:
        """Those of `items` whose image and label can both be used, in the same order."""
        return [item for item in items if self._try(item)]

    def expert(self, item: Item) -> NDArray[np.uint8]:
        """Y on the file's own grid: uint8 (W, H, F) in {0, 1, 255}, supervision applied.

        Where the expert says that there is no layer, every pixel is background under every rule of supervision.

        Raises:
            LabelError: the label cannot be read, does not fit the image, or neither shows the layer nor says that
                there is none.
        """
        return self._read(item)[0]

    def digest(self, item: Item) -> str:
        """Digest of the expert's file from which `expert` was read.

        Raises:
            LabelError: as `expert`.
        """
        return self._read(item)[1]

    def no_layer(self, item: Item) -> bool:
        """Whether the expert says that the image shows no layer.

        Raises:
            LabelError: as `expert`.
        """
        return says_no_layer(self._read(item)[0])

    def current(self, item: Item) -> NDArray[np.uint8]:
        """ỹ on the file's own grid: uint8 (W, H, F) in {0, 1, 255}.

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
        """ỹ on the working grid, uint8 (F, W, H), with the background that follows from a partly traced layer."""
        cached = self._working.get(item.id)
        if cached is None:
            grid = self._frame(item).grid
            label = self.current(item)
            cached = np.stack([self._complete(grid.label_to_working(label[:, :, f])) for f in range(label.shape[2])])
            self._working[item.id] = cached
        return cached

    def replace(self, item: Item, label: NDArray[np.uint8]) -> None:
        """Use `label` (uint8 (W, H, F)) from now on in this round; nothing is written."""
        self._replaced[item.id] = label
        self._working.pop(item.id, None)

    def _complete(self, label: NDArray[np.uint8]) -> NDArray[np.uint8]:
        return label if self._supervision == "full" else far_background(label, self._pixel_mm, self._max_angle)

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
        label, dropped = clean_label(read_label(item.label, (*frame.grid.native, frame.frames), layout=frame.layout))
        if not dropped and says_no_layer(label):
            return label, digest  # every pixel is background, whatever the rule of supervision
        if not (label == INTIMA_MEDIA).any():
            raise LabelError(
                f"Expected the label of {item.id} to show the layer or to be empty throughout, got neither. "
                "Label it again."
            )
        return _per_frame(label, self._supervision), digest

    def _frame(self, item: Item) -> WorkingFrame:
        frame = self._frames.get(item)
        if frame is None:
            raise LabelError(
                f"Expected the image of label {item.id} to be readable: {self._frames.unreadable[item.id]}"
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


def _per_frame(label: NDArray[np.uint8], supervision: Literal["columns", "full"]) -> NDArray[np.uint8]:
    return np.stack([apply_supervision(label[:, :, f], supervision) for f in range(label.shape[2])], axis=2)
