"""Margin between the teacher's two most probable classes."""

from torch import Tensor

from sequal.acquisition.pixels import mean_over_pixels
from sequal.acquisition.seen import Seen

__all__ = ["FUNCTION", "margin", "score"]


def margin(log_p_teacher: Tensor, log_p_student: Tensor, mask: Tensor | None = None) -> Tensor:
    """Mean lack of margin over the pixels of each image; higher is asked for first.

    1/|Ω| Σ_Ω 1 − (p_first − p_second) of the teacher. The source asks for the smallest margin (Scheffer et
    al., IDA 2001; Settles, 2009, section 3.1); one minus it keeps "higher first". With two classes it is
    twice the least confidence, so both rank alike.

    Args:
        log_p_teacher: log-softmax of the teacher `(B, C, W, H)`, at least two classes.
        log_p_student: not used; all acquisition functions share one signature.
        mask: valid pixels `(B, 1, W, H)`; None: all.

    Returns:
        Score by image `(B,)`, 0..1; NaN for an image without valid pixels.

    >>> import torch
    >>> p = torch.tensor([0.6, 0.3, 0.1]).log().view(1, 3, 1, 1)
    >>> round(margin(p, p).item(), 4)
    0.7
    """
    first, second = log_p_teacher.topk(2, dim=1).values.exp().unbind(dim=1)
    return mean_over_pixels(1 - (first - second), mask)


FUNCTION = margin


def score(seen: Seen) -> Tensor:
    """Of what annotators see."""
    return margin(seen.shown, seen.other, seen.mask)
