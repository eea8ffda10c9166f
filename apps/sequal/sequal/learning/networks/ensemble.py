"""Several networks that answer as one: the mean of their softmaxes."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

__all__ = ["Ensemble", "mean_log_probability"]


def mean_log_probability(log_p: Sequence[Tensor]) -> Tensor:
    """The log of the mean probability of several log-softmaxes of one shape.

    >>> one, other = torch.tensor([0.9, 0.1]).log(), torch.tensor([0.5, 0.5]).log()
    >>> [round(p, 4) for p in mean_log_probability([one, other]).exp().tolist()]
    [0.7, 0.3]
    """
    return torch.logsumexp(torch.stack(list(log_p)), dim=0) - math.log(len(log_p))


class Ensemble(nn.Module):
    """The mean of the softmaxes of its members (S2: what is shown is the mean of both networks).

    Args:
        members: networks from (B, 1, *spatial) to logits (B, C, *spatial), of any architectures.
    """

    def __init__(self, members: Sequence[nn.Module]) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)

    def forward(self, x: Tensor) -> Tensor:
        """The log of the mean probability (B, C, *spatial): logits of a softmax that is that mean."""
        return mean_log_probability([torch.log_softmax(member(x).float(), dim=1) for member in self.members])
