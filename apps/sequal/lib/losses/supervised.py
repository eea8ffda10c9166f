"""The supervised loss: cross-entropy and soft Dice over annotated pixels."""

import torch
import torch.nn.functional as F
from monai.losses import MaskedDiceLoss
from torch import Tensor, nn

from lib.labels import IGNORE, INTIMA_MEDIA

__all__ = ["SupervisedLoss"]


class SupervisedLoss(nn.Module):
    """Cross-entropy + `dice_weight` · soft Dice of the layer, both over pixels that are not IGNORE.

    S1 publishes cross-entropy alone, its predecessor PLD-AL cross-entropy + 1.25 · Dice; the preset `paper`
    sets `dice_weight` to 0. Dice is taken over the batch, so that a patch without the layer does not reward
    or punish by its own 0/0.

    Args:
        dice_weight: weight of the Dice term, ≥ 0.
    """

    def __init__(self, dice_weight: float = 1.0) -> None:
        super().__init__()
        self.dice_weight = dice_weight
        self._dice = MaskedDiceLoss(include_background=True, batch=True)

    def forward(self, logits: Tensor, label: Tensor) -> Tensor:
        """Loss of logits (B, 2, W, H) against label (B, 1, W, H) integer in {0, 1, 255}.

        A batch without any annotated pixel gives 0 with a gradient of 0, not NaN.
        """
        target = label[:, 0].long()
        annotated = target != IGNORE
        if not bool(annotated.any()):
            return logits.sum() * 0.0
        loss = F.cross_entropy(logits, target, ignore_index=IGNORE)
        if self.dice_weight > 0:
            layer = torch.softmax(logits, dim=1)[:, INTIMA_MEDIA : INTIMA_MEDIA + 1]
            truth = (label == INTIMA_MEDIA).to(layer.dtype)
            loss = loss + self.dice_weight * self._dice(layer, truth, mask=annotated[:, None].to(layer.dtype))
        return loss
