"""Cross pseudo supervision of S2: each of two networks learns from the hard label of the other."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sequal.learning.losses.reliability import reliable_voxels

__all__ = ["CrossPseudoLoss"]


class CrossPseudoLoss(nn.Module):
    """CPS(A ← B) + CPS(B ← A) [+ mean KL(p_A ‖ p_B)].

    CPS(A ← B) is the mean of w · CE(p_A, argmax p_B) over the voxels at which B can be relied on, and likewise the
    other way round. Nothing flows through a hard label.

    The two parts that S2 adds to plain cross pseudo supervision (Chen et al., CVPR 2021) can each be left out:

    - the entropy filter: voxels count at which the entropy of the network that teaches is at most a quantile of its
      class (`reliable_voxels`);
    - the KL weights: w = exp(−KL(p_A ‖ p_B)) of the voxel, without a gradient through w. So that the networks do not
      gain by moving apart, the mean of the KL over all voxels is added, whose gradient reaches both networks (after
      Zheng & Yang, Int. J. Comput. Vis. 2021). Without KL weights w is 1 and nothing is added.

    In the published code of S2 neither part has an effect: the pseudo-label loss is computed on hard labels, which
    carry no gradient, and the entropy is NaN.

    Args:
        entropy_quantile: part of the voxels of each class to learn from, in (0, 1]; None: no filter.
        kl_weight: with KL weights and the mean KL.
    """

    def __init__(self, entropy_quantile: float | None = 0.8, kl_weight: bool = True) -> None:
        super().__init__()
        self.entropy_quantile = entropy_quantile
        self.kl_weight = kl_weight

    def forward(self, logits_a: Tensor, logits_b: Tensor) -> Tensor:
        """Loss of the logits of the two networks, each (B, C, *spatial), for any images; a scalar."""
        log_a, log_b = (torch.log_softmax(logits.float(), dim=1) for logits in (logits_a, logits_b))
        if not self.kl_weight:
            return self._learn(log_a, log_b) + self._learn(log_b, log_a)
        kl = (log_a.exp() * (log_a - log_b)).sum(dim=1)
        weight = torch.exp(-kl.detach())
        return self._learn(log_a, log_b, weight) + self._learn(log_b, log_a, weight) + kl.mean()

    def _learn(self, learner: Tensor, teacher: Tensor, weight: Tensor | None = None) -> Tensor:
        if self.entropy_quantile is None:
            classes, counts = teacher.max(dim=1).indices, torch.ones_like(teacher[:, 0])
        else:
            classes, reliable = reliable_voxels(teacher, self.entropy_quantile)
            counts = reliable.to(teacher.dtype)
        loss = F.nll_loss(learner, classes, reduction="none")
        if weight is not None:
            loss = loss * weight
        return (loss * counts).sum() / counts.sum()
