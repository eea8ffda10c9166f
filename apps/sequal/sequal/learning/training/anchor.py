"""The starting weights as an anchor: what keeps a network that learns from few labels from forgetting what it knew."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray

from sequal.anatomy.measurement import label_dice
from sequal.anatomy.model import Model
from sequal.errors import LabelError
from sequal.learning.networks import NetworkPair
from sequal.learning.training.labels_in_use import LabelsInUse
from sequal.prediction import predict
from sequal.preparation.working_frame import Grid
from sequal.preparation.working_frames import WorkingFrames
from sequal.study.items import Item

__all__ = ["Anchor", "find_anchor"]

#: Labels that say whether the starting weights know the structure; more say the same and take longer.
_ASKED: Final = 12
#: Fewer labels may all be on frames on which the starting weights fail: strategies ask for these first.
_FEWEST: Final = 3
#: Dice of the starting weights with a label that they find.
_KNOWN: Final = 0.3
#: They know the structure when they find this part of its labels; of another structure they find none.
_PART_FOUND: Final = 0.25


@dataclass(frozen=True)
class Anchor:
    """The weights that a study started from, if they know the structure that its labels show.

    Attributes:
        pair: the starting weights; None when there are none, or the labels show something else. Then a round learns
            from the labels alone.
        agreement: Dice that the starting weights have with a quarter of the labels; None when it was not asked.
        convention: how the labels differ from what the starting weights draw, as the model puts it.
    """

    pair: NetworkPair | None = None
    agreement: float | None = None
    convention: Any = None

    def hold(self, trained: NetworkPair, labels: int, anchor_labels: float) -> None:
        """Take the mean of the trained weights and the anchor's into `trained`.

        The more labels there are, the less the anchor counts: its share is `anchor_labels` / (`anchor_labels` +
        `labels`). The mean of weights before and after a fine-tuning keeps what the first knew about pictures that the
        second never saw (WiSE-FT, Wortsman et al., CVPR 2022).

        Args:
            trained: of the same architecture, on any device.
            labels: labelled images that it learnt from.
            anchor_labels: as the setting.
        """
        if self.pair is not None and anchor_labels > 0:
            trained.move_towards(self.pair, anchor_labels / (anchor_labels + labels))


def find_anchor(
    starting: NetworkPair | None,
    items: Sequence[Item],
    frames: WorkingFrames,
    labels: LabelsInUse,
    model: Model,
    device: torch.device,
) -> Anchor:
    """Ask whether the starting weights know the structure that the labels show.

    They do when they find a quarter of the labels, or when fewer than three were drawn. On frames of another scanner
    they may miss most walls, and a round that learned anew from such a label lost walls on other frames: of ten real
    ones it lost two. Of 48 frames with another structure, the aponeurosis, they find not one.

    Args:
        starting: None: there are none of the right architecture.
        items: labelled images; at most twelve are asked, evenly spread. Labels that show no layer say nothing.
        frames: source of the images.
        labels: source of the expert's labels.
        model: what is segmented.
        device: where the networks are.
    """
    if starting is None:
        return Anchor()
    shown = [item for item in items if not labels.no_layer(item)]
    asked = [shown[i] for i in np.unique(np.linspace(0, len(shown) - 1, _ASKED).astype(int))] if shown else []
    seen = [one for item in asked if (one := _compare(starting, item, frames, labels, model, device)) is not None]
    if not seen:
        return Anchor(starting)
    agreement = float(np.quantile([one.dice for one in seen], 1 - _PART_FOUND, method="higher"))
    if agreement < _KNOWN and len(seen) >= _FEWEST:
        return Anchor(None, agreement)
    convention = model.convention((one.classes, one.expert, one.grid) for one in seen if one.dice >= _KNOWN)
    return Anchor(starting, agreement, convention)


@dataclass(frozen=True)
class _Compared:
    """What the starting weights draw on one image beside what the expert drew."""

    dice: float
    classes: NDArray[np.uint8]
    expert: NDArray[np.uint8]
    grid: Grid


def _compare(
    starting: NetworkPair,
    item: Item,
    frames: WorkingFrames,
    labels: LabelsInUse,
    model: Model,
    device: torch.device,
) -> _Compared | None:
    frame = frames.get(item)
    if frame is None:
        return None
    try:
        expert = labels.expert(item)
    except LabelError as error:
        labels.unusable[item.id] = str(error)
        return None
    classes = predict(starting.shown, frame, model, device).classes
    return _Compared(label_dice(classes, expert), classes, expert, frame.grid)
