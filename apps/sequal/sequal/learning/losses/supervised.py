"""The supervised loss: cross-entropy and soft Dice over annotated voxels."""

import torch
import torch.nn.functional as F
from monai.losses import MaskedDiceLoss
from torch import Tensor, nn

from sequal.labels import IGNORE

__all__ = ["SupervisedLoss"]


class SupervisedLoss(nn.Module):
    """Cross-entropy + `dice_weight` · soft Dice of the foreground classes, both over voxels that are not IGNORE.

    S1 publishes cross-entropy alone, its predecessor PLD-AL cross-entropy + 1.25 · Dice; the preset `paper`
    sets `dice_weight` to 0. Dice is taken over the batch, so that a patch without a class does not reward
    or punish by its own 0/0, and its mean over the classes counts.

    Args:
        dice_weight: weight of the Dice term, ≥ 0.
    """

    def __init__(self, dice_weight: float = 1.0) -> None:
        super().__init__()
        self.dice_weight = dice_weight
        self._dice = MaskedDiceLoss(include_background=True, batch=True)

    def forward(self, logits: Tensor, label: Tensor) -> Tensor:
        """Loss of logits (B, C, *spatial) against label (B, 1, *spatial) integer in {0, …, C − 1, 255}.

        A batch without any annotated voxel gives 0 with a gradient of 0, not NaN.
        """
        target = label[:, 0].long()
        annotated = target != IGNORE
        if not bool(annotated.any()):
            return logits.sum() * 0.0
        loss = F.cross_entropy(logits, target, ignore_index=IGNORE)
        if self.dice_weight > 0:
            foreground = torch.softmax(logits, dim=1)[:, 1:]
            truth = torch.cat([label == number for number in range(1, logits.shape[1])], dim=1).to(foreground.dtype)
            loss = loss + self.dice_weight * self._dice(foreground, truth, mask=annotated[:, None].to(foreground.dtype))
        return loss
