"""From where a mask is expected to be wrong to the Dice that it has (S3)."""

import torch
from torch import Tensor

__all__ = ["error_anywhere", "predicted_dice"]


def predicted_dice(classes: Tensor, wrong: Tensor) -> Tensor:
    """The Dice to be expected of a mask, mean over its classes: 2TP / (2TP + FP + FN).

    With S_c the mask of a class and e_c the probability of an error about it, TP = Σ S_c (1 − e_c), FP = Σ S_c e_c and
    FN = Σ (1 − S_c) e_c (S3). A class that was not found has a Dice of 0 if it is there, and does not count if it is
    not; its chance to be there is the largest e_c, since the pixels of one structure come together. Of a mask that is
    empty throughout the Dice is the chance that there is nothing, 1, rather than something, 0.

    Args:
        classes: what is shown, integers (B, *spatial), 0 background.
        wrong: e by class but the background, 0..1, (B, C − 1, *spatial).

    Returns:
        Float64 (B,), 0..1.

    A mask of two pixels, one of them wrong with a chance of one half, beside a sure background: 2 · 1.5 / (3 + 0.5).

    >>> round(predicted_dice(torch.tensor([[1, 1, 0]]), torch.tensor([[[0.0, 0.5, 0.0]]])).item(), 4)
    0.8571
    >>> predicted_dice(torch.tensor([[0, 0, 0]]), torch.tensor([[[0.0, 0.25, 0.0]]])).item()
    0.75
    """
    scores, weights, nothing = [], [], []
    for number, e in enumerate(wrong.unbind(dim=1), start=1):
        e, mask = e.flatten(1), (classes == number).flatten(1)
        found = mask.any(dim=1)
        inside = torch.where(mask, 1 - e, torch.zeros_like(e)).sum(dim=1, dtype=torch.float64)
        outside = torch.where(mask, torch.zeros_like(e), e).sum(dim=1, dtype=torch.float64)
        dice = 2 * inside / (mask.sum(dim=1) + inside + outside).clamp_min(1e-12)
        there = e.amax(dim=1).double()
        scores.append(torch.where(found, dice, torch.zeros_like(dice)))
        weights.append(torch.where(found, torch.ones_like(dice), there))
        nothing.append(torch.where(found, torch.zeros_like(dice), 1 - there))
    empty = torch.stack(nothing).prod(dim=0)
    mean = torch.stack(scores).sum(dim=0) / torch.stack(weights).sum(dim=0).clamp_min(1e-12)
    return torch.where((classes == 0).flatten(1).all(dim=1), empty, mean)


def error_anywhere(classes: Tensor, wrong: Tensor) -> Tensor:
    """The probability that what is shown at a pixel is wrong, whatever the class.

    Where a class is shown, that is the probability of an error about it; where background is shown, the truth would be
    one of the classes, so that their probabilities add up.

    Args:
        classes: integers (B, *spatial).
        wrong: by class but the background, 0..1, (B, C − 1, *spatial).

    Returns:
        (B, *spatial), 0..1.

    >>> error_anywhere(torch.tensor([[0, 1]]), torch.tensor([[[0.25, 0.125], [0.5, 0.25]]]))
    tensor([[0.7500, 0.1250]])
    """
    of_class = wrong.gather(1, (classes.long()[:, None] - 1).clamp_min(0))[:, 0]
    return torch.where(classes == 0, wrong.sum(dim=1).clamp_max(1.0), of_class)
