"""Mutual information between prediction and weights, from stochastic passes of one network."""

import torch
from torch import Tensor

from sequal.acquisition.pixels import mean_over_pixels

__all__ = ["bald"]


def bald(log_p_passes: Tensor, mask: Tensor | None = None) -> Tensor:
    """Mean mutual information over the pixels of each image; higher is asked for first.

    1/|Ω| Σ_Ω H(1/K Σ_k p_k) − 1/K Σ_k H(p_k), with H the Shannon entropy: what is uncertain because the passes
    disagree, without what each of them is uncertain about (BALD: Houlsby et al., arXiv 1112.5745, 2011, eq. 2; by
    MC-dropout: Gal, Islam & Ghahramani, ICML 2017, section 4).

    Args:
        log_p_passes: log-softmax of K passes `(K, B, C, W, H)`.
        mask: valid pixels `(B, 1, W, H)`; None: all.

    Returns:
        Score by image in nats `(B,)`, 0..ln min(C, K) up to rounding; NaN for an image without valid pixels.

    Two passes that are sure of different classes, and two that agree to be undecided:

    >>> disagree = torch.tensor([[1.0, 0.0], [0.0, 1.0]]).log().view(2, 1, 2, 1, 1)
    >>> round(bald(disagree).item(), 4)
    0.6931
    >>> undecided = torch.full((2, 1, 2, 1, 1), 0.5).log()
    >>> bald(undecided).item()
    0.0
    """
    p = log_p_passes.exp()
    of_mean = torch.special.entr(p.mean(dim=0)).sum(dim=1)
    mean_of = torch.special.entr(p).sum(dim=2).mean(dim=0)
    return mean_over_pixels(of_mean - mean_of, mask)
