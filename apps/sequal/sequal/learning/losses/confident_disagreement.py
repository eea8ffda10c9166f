"""The term of S2 for annotated voxels on which exactly one of two networks is confident."""

import torch
from torch import Tensor

from sequal.labels import IGNORE

__all__ = ["confident_disagreement_loss"]


def confident_disagreement_loss(logits_a: Tensor, logits_b: Tensor, label: Tensor, confidence: float = 0.6) -> Tensor:
    """0.5 · (MSE_A + MSE_B) over the annotated voxels of which exactly one network is confident.

    For each foreground class c, the voxels count at which exactly one of p_A,c and p_B,c is at least `confidence`.
    MSE_N is the mean of (p_N,c − 1[label = c])² over all of these voxels and classes, for each network N. Which voxels
    count carries no gradient (S2: Lu et al., Knowl.-Based Syst. 2025).

    The mean is over the voxels that count, however few. One alone pulls as hard as a thousand together, and so harder
    than the supervised loss, which is a mean over all annotated voxels. Where the networks are confident by accident,
    as with random weights, this drives the class out of both: `CrossTrainer` ramps the weight up.

    Args:
        logits_a: of the first network (B, C, *spatial), floating point.
        logits_b: of the second network, of the same shape.
        label: (B, 1, *spatial) integer in {0, …, C − 1, 255}; 255 does not count.
        confidence: the probability from which on a network is confident, in (0.5, 1).

    Returns:
        A scalar; 0 with a gradient of 0 where no voxel counts.
    """
    p_a, p_b = (torch.softmax(logits.float(), dim=1)[:, 1:] for logits in (logits_a, logits_b))
    classes = torch.arange(1, logits_a.shape[1], device=label.device).view(1, -1, *[1] * (label.ndim - 2))
    counts = ((p_a >= confidence) != (p_b >= confidence)) & (label != IGNORE)
    truth = (label == classes).to(p_a.dtype)
    errors = ((p_a - truth) ** 2 + (p_b - truth) ** 2) * counts
    return 0.5 * errors.sum() / counts.sum().clamp(min=1)
