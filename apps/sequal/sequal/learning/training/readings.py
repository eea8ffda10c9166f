"""What further readers drew of labelled images, each of them without the bias of his own."""

import logging
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sequal.anatomy.model import Model
from sequal.errors import LabelError
from sequal.labels import BACKGROUND, IGNORE
from sequal.learning.training.labels_in_use import LabelsInUse
from sequal.preparation.working_frames import WorkingFrames
from sequal.study.items import Item

__all__ = ["Readings"]

logger = logging.getLogger(__name__)


class Readings:
    """Labels of further readers, moved to the convention of the study's own labels.

    A reader may draw LI and MA higher or deeper than the study's labels do. By how much is estimated for each reader
    from the images of this round that have both labels (`Model.convention`). Without this the networks would learn the
    mean of all readers' conventions where there are several labels, and that of the study elsewhere.

    Attributes:
        conventions: by reader what his boundaries are moved by, as the model puts it.
        unusable: reason by image and reader, of labels that cannot be used, and by reader who has none.

    Args:
        items: labelled images, usable.
        readers: names; none: nothing is read.
        frames: source of the images.
        labels: source of the study's own labels.
        model: what is segmented.
    """

    def __init__(
        self, items: Sequence[Item], readers: Sequence[str], frames: WorkingFrames, labels: LabelsInUse, model: Model
    ) -> None:
        self._model = model
        self._labels: dict[str, list[tuple[str, NDArray[np.uint8]]]] = {}
        self.conventions: dict[str, Any] = {}
        self.unusable: dict[str, str] = {}
        for reader in readers:
            files = [(item, path) for item in items for name, path in item.readings if name == reader]
            if not files:
                self.unusable[f"reader {reader}"] = (
                    f"Expected reader {reader} to have labels of images that have a submitted label, got none. Name "
                    "the reader as the folder in labels/, or take the name out of `readers`."
                )
            seen = []
            for item, path in files:
                frame = frames.get(item)
                if frame is None:
                    continue
                try:
                    label = model.read_label(path, frame)
                except LabelError as error:
                    self.unusable[f"{item.id}, {reader}"] = str(error)
                    continue
                self._labels.setdefault(item.id, []).append((reader, model.to_working(label, frame.grid)))
                drawn = np.where((label == BACKGROUND) | (label == IGNORE), np.uint8(BACKGROUND), label)
                seen.append((drawn, labels.expert(item), frame.grid))
            self.conventions[reader] = model.convention(seen)
            logger.info("Labels of reader %s: %d, moved by %s", reader, len(seen), self.conventions[reader])
        for name, reason in self.unusable.items():
            logger.warning("Leaving out %s: %s", name, reason)

    def drawn(self, item: Item, own: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
        """One of the labels of an image, the study's own or a reader's, each with the same chance.

        Args:
            item: the image.
            own: uint8 (F, *working), the study's own label.
            rng: source of the draw; it is not touched for an image without further labels.
        """
        others = self._labels.get(item.id)
        if not others:
            return own
        place = int(rng.integers(len(others) + 1))
        if place == len(others):
            return own
        reader, label = others[place]
        return self._model.moved(label, self.conventions[reader], rng)
