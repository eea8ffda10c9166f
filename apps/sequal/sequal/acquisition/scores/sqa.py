"""Segmentation quality assessment: the Dice that the error branch expects of the mask, lowest first."""

from typing import Final

import torch
from torch import Tensor

from sequal.acquisition.seen import Seen
from sequal.learning.quality.expected import predicted_dice

__all__ = ["FUNCTION", "UNSCORED", "score", "sqa"]

UNSCORED: Final = "the model in service has no error branch, so sqa cannot tell images apart"


def sqa(
    log_p_teacher: Tensor, log_p_student: Tensor, mask: Tensor | None = None, wrong: Tensor | None = None
) -> Tensor:
    """One minus the predicted Dice of the mask that annotators see; higher is asked for first (S3, after Zhang et al.).

    Args:
        log_p_teacher: log-softmax of what is shown `(B, C, *spatial)`.
        log_p_student: not used; all acquisition functions share one signature.
        mask: valid pixels `(B, 1, *spatial)`; None: all.
        wrong: probability that what is shown is wrong about each class but the background `(B, C − 1, *spatial)`; None:
            as the probabilities themselves have it.

    Returns:
        Score by image `(B,)`, 0..1; NaN for an image without valid pixels.

    A pixel that is the layer with 0.8 beside one that is none with 0.9: 1 − 2 · 0.8 / (1 + 0.8 + 0.1).

    >>> log_p = torch.tensor([[0.2, 0.9], [0.8, 0.1]]).log().view(1, 2, 1, 2)
    >>> round(sqa(log_p, log_p).item(), 4)
    0.1579
    """
    classes = log_p_teacher.max(dim=1).indices
    if wrong is None:
        p = log_p_teacher[:, 1:].exp()
        numbers = torch.arange(1, log_p_teacher.shape[1], device=p.device).view(1, -1, *[1] * (p.ndim - 2))
        wrong = torch.where(classes[:, None] == numbers, 1 - p, p)
    if mask is None:
        return 1 - predicted_dice(classes, wrong)
    valid = mask.bool()
    masked = 1 - predicted_dice(classes * valid[:, 0], wrong.masked_fill(~valid, 0))
    return masked.masked_fill(~valid.flatten(1).any(dim=1), torch.nan)


FUNCTION = sqa


def score(seen: Seen) -> Tensor:
    """Of what annotators see; NaN throughout where the model in service has no error branch."""
    if seen.wrong is None:
        return torch.full((len(seen.shown),), torch.nan, dtype=torch.float64)
    return sqa(seen.shown, seen.other, seen.mask, seen.wrong)
