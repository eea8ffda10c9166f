"""The consistency term of S1: mean squared difference of the two softmaxes, ramped up over the round."""

import math

import torch
from torch import Tensor

__all__ = ["consistency_loss", "consistency_weight", "paper_consistency_weight"]


def consistency_loss(student_logits: Tensor, teacher_logits: Tensor) -> Tensor:
    """mean((p_S − p_T)²) over every voxel and class of (B, C, *spatial) logits; no gradient reaches the teacher."""
    p_student = torch.softmax(student_logits, dim=1)
    p_teacher = torch.softmax(teacher_logits.detach(), dim=1)
    return torch.mean((p_student - p_teacher) ** 2)


def consistency_weight(progress: float, w_max: float, ramp_fraction: float) -> float:
    """W = w_max · exp(−5 (1 − t/t_ramp)²), clipped at t_ramp, with t_ramp a fraction of the round.

    Args:
        progress: part of the round that is done, 0..1.
        w_max: the weight after the ramp, ≥ 0.
        ramp_fraction: part of the round that the ramp takes, in (0, 1].

    >>> consistency_weight(0.5, w_max=2.0, ramp_fraction=0.5)
    2.0
    >>> round(consistency_weight(0.0, w_max=1.0, ramp_fraction=0.5), 6)
    0.006738
    """
    t = min(progress / ramp_fraction, 1.0)
    return w_max * math.exp(-5.0 * (1.0 - t) ** 2)


def paper_consistency_weight(iteration: int, w_max: float, unit: int = 150, units: int = 40) -> float:
    """The published ramp: 40 units of 150 iterations.

    In S1, whose round has 1500 iterations, it never exceeds 6 % of `w_max`; kept for the preset `paper`. In S2, which
    trains for 6000 iterations with `w_max` 0.1, it ends with the training.

    >>> paper_consistency_weight(1499, w_max=1.0) < 0.06
    True
    >>> paper_consistency_weight(6000, w_max=0.1)
    0.1
    """
    t = min((iteration // unit) / units, 1.0)
    return w_max * math.exp(-5.0 * (1.0 - t) ** 2)
