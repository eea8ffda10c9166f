"""The loss of the error branch."""

from typing import Final

import torch
import torch.nn.functional as F
from torch import Tensor

from sequal.labels import IGNORE

__all__ = ["error_loss", "error_target"]

#: Errors are few: each counts as so many right pixels.
_POSITIVE_WEIGHT: Final = 3.0
#: Added to both sides of an image's Dice, in pixels, so that a mask of a few of them is not judged by each.
_SMOOTH: Final = 20.0


def error_target(shown: Tensor, label: Tensor) -> Tensor:
    """E_c = 1[argmax z = c xor y = c] for each class but the background (S3, by class).

    Args:
        shown: logits of what is shown (B, C, *spatial).
        label: uint8 (B, 1, *spatial), classes and 255; what 255 gives means nothing.

    Returns:
        Float32 in {0, 1}, (B, C − 1, *spatial).

    >>> shown = torch.tensor([[[0.9, 0.1], [0.1, 0.9]]]).log()  # background, then the layer
    >>> error_target(shown, torch.tensor([[[1, 1]]], dtype=torch.uint8))
    tensor([[[1., 0.]]])
    """
    classes = shown.max(dim=1, keepdim=True).indices
    numbers = _numbers(shown)
    return ((classes == numbers) != (label == numbers)).float()


def error_loss(logits: Tensor, shown: Tensor, label: Tensor) -> Tensor:
    """Cross-entropy with a positive weight, soft Dice (S3), and the error of the predicted Dice, over annotated pixels.

    A positive weight w makes a network claim w times the odds of an error. So what it trains are the log-odds plus
    log w: the branch's own remain those of an error, and sums of them are a Dice. The last part, |predicted − true
    Dice| of each image, all classes together, is our own: single errors are learnt long before their sum is right.

    Args:
        logits: log-odds of an error by class but the background (B, C − 1, *spatial).
        shown: logits of what is shown (B, C, *spatial).
        label: uint8 (B, 1, *spatial), classes and 255.

    Returns:
        A scalar; 0 where nothing is annotated.
    """
    known = (label != IGNORE).float()
    target = error_target(shown, label)
    weight = torch.tensor(_POSITIVE_WEIGHT, device=logits.device)
    by_pixel = F.binary_cross_entropy_with_logits(logits + weight.log(), target, pos_weight=weight, reduction="none")
    pixels = (known.sum() * target.shape[1]).clamp_min(1.0)
    cross_entropy = (by_pixel * known).sum() / pixels
    claimed, found = torch.sigmoid(logits) * known, target * known
    overlap = (2 * (claimed * found).sum() + 1) / (claimed.sum() + found.sum() + 1)
    masks = shown.max(dim=1, keepdim=True).indices == _numbers(shown)
    by_image = (_dice(masks * known, claimed) - _dice(masks * known, found)).abs().mean()
    return cross_entropy + (1 - overlap) * (known.sum() > 0) + by_image


def _dice(masks: Tensor, wrong: Tensor) -> Tensor:
    """2TP / (2TP + FP + FN) of each image (B,), from masks and errors by class (B, C − 1, *spatial)."""
    twice = 2 * (masks * (1 - wrong)).flatten(1).sum(dim=1) + _SMOOTH
    return twice / (twice + wrong.flatten(1).sum(dim=1))


def _numbers(shown: Tensor) -> Tensor:
    """Of the classes but the background (1, C − 1, 1, …)."""
    return torch.arange(1, shown.shape[1], device=shown.device).view(1, -1, *[1] * (shown.ndim - 2))
