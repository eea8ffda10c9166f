"""The starting weights as an anchor: what keeps a network that learns from few labels from forgetting what it knew."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch

from lib.imaging.working_frames import WorkingFrames
from lib.items import Item
from lib.networks import DualNetwork
from lib.training.evaluation import label_dice
from lib.training.labels_in_use import LabelsInUse

__all__ = ["Anchor", "find_anchor"]

#: Labels that say whether the starting weights know the structure; more say the same and take longer.
_ASKED: Final = 12
#: Median Dice of the starting weights with the labels from which on they know the structure.
_KNOWN: Final = 0.3


@dataclass(frozen=True)
class Anchor:
    """The weights that a study started from, if they know the structure that its labels show.

    Attributes:
        pair: the starting weights; None when there are none, or the labels show something else. Then a round learns
            from the labels alone.
        agreement: median Dice of the starting weights with the labels; None when it was not asked.
    """

    pair: DualNetwork | None = None
    agreement: float | None = None

    def hold(self, trained: DualNetwork, labels: int, anchor_labels: float) -> None:
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
    starting: DualNetwork | None,
    items: Sequence[Item],
    frames: WorkingFrames,
    labels: LabelsInUse,
    device: torch.device,
) -> Anchor:
    """Ask whether the starting weights know the structure that the labels show.

    Args:
        starting: None: there are none of the right architecture.
        items: labelled images; at most twelve are asked, evenly spread. Labels that show no layer say nothing.
        frames: source of the images.
        labels: source of the expert's labels.
        device: where the networks are.
    """
    if starting is None:
        return Anchor()
    shown = [item for item in items if not labels.no_layer(item)]
    asked = [shown[i] for i in np.unique(np.linspace(0, len(shown) - 1, _ASKED).astype(int))] if shown else []
    found = [dice for item in asked if (dice := label_dice(starting, item, frames, labels, device)) is not None]
    if not found:
        return Anchor(starting)
    agreement = float(np.median(found))
    return Anchor(starting if agreement >= _KNOWN else None, agreement)
