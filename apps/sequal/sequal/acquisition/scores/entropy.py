"""Mean pixel entropy of the teacher's prediction."""

import torch
from torch import Tensor

from sequal.acquisition.pixels import mean_over_pixels
from sequal.acquisition.seen import Seen

__all__ = ["FUNCTION", "entropy", "score"]


def entropy(log_p_teacher: Tensor, log_p_student: Tensor, mask: Tensor | None = None) -> Tensor:
    """Mean entropy over the pixels of each image; higher is asked for first.

    1/|Ω| Σ_Ω −Σ_c p_c log p_c of the teacher (Shannon entropy; as a query: Settles, *Active Learning
    Literature Survey*, 2009, section 3.1).

    Args:
        log_p_teacher: log-softmax of the teacher `(B, C, W, H)`.
        log_p_student: not used; all acquisition functions share one signature.
        mask: valid pixels `(B, 1, W, H)`; None: all.

    Returns:
        Score by image in nats `(B,)`, 0..ln C; NaN for an image without valid pixels.

    >>> undecided = torch.tensor([0.5, 0.5]).log().view(1, 2, 1, 1)
    >>> round(entropy(undecided, undecided).item(), 4)
    0.6931
    """
    return mean_over_pixels(torch.special.entr(log_p_teacher.exp()).sum(dim=1), mask)


FUNCTION = entropy


def score(seen: Seen) -> Tensor:
    """Of what annotators see."""
    return entropy(seen.shown, seen.other, seen.mask)
