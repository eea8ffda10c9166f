"""Least confidence of the teacher's prediction."""

from torch import Tensor

from sequal.acquisition.pixels import mean_over_pixels
from sequal.acquisition.seen import Seen

__all__ = ["FUNCTION", "least_confidence", "score"]


def least_confidence(log_p_teacher: Tensor, log_p_student: Tensor, mask: Tensor | None = None) -> Tensor:
    """Mean lack of confidence over the pixels of each image; higher is asked for first.

    1/|Ω| Σ_Ω 1 − max_c p_c of the teacher (Lewis & Gale, SIGIR 1994; Settles, 2009, section 3.1).

    Args:
        log_p_teacher: log-softmax of the teacher `(B, C, W, H)`.
        log_p_student: not used; all acquisition functions share one signature.
        mask: valid pixels `(B, 1, W, H)`; None: all.

    Returns:
        Score by image `(B,)`, 0..1 − 1/C; NaN for an image without valid pixels.

    >>> import torch
    >>> p = torch.tensor([0.75, 0.25]).log().view(1, 2, 1, 1)
    >>> round(least_confidence(p, p).item(), 4)
    0.25
    """
    return mean_over_pixels(1 - log_p_teacher.amax(dim=1).exp(), mask)


FUNCTION = least_confidence


def score(seen: Seen) -> Tensor:
    """Of what annotators see."""
    return least_confidence(seen.shown, seen.other, seen.mask)
