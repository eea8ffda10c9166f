"""From a score of every pixel to the score of an image."""

from torch import Tensor

__all__ = ["mean_height", "mean_over_pixels"]


def mean_over_pixels(values: Tensor, mask: Tensor | None) -> Tensor:
    """Mean of a pixel map over the valid pixels of each image.

    Args:
        values: one value a pixel, floating point `(B, W, H)`.
        mask: valid pixels, bool or 0/1 `(B, 1, W, H)`; None: all are valid.

    Returns:
        Mean by image `(B,)`; NaN for an image without valid pixels. What is not valid does not count, NaN
        included.

    >>> import torch
    >>> values = torch.tensor([[[1.0, 3.0]], [[5.0, 7.0]]])
    >>> mean_over_pixels(values, torch.tensor([[[[1, 1]]], [[[0, 1]]]]))
    tensor([2., 7.])
    """
    if mask is None:
        return values.flatten(1).mean(dim=1)
    valid = mask[:, 0].bool()
    total = values.masked_fill(~valid, 0).flatten(1).sum(dim=1)
    return total / valid.flatten(1).sum(dim=1)


def mean_height(values: Tensor, mask: Tensor | None) -> Tensor | int:
    """How many valid pixels a column has, on average over the columns that have any.

    Args:
        values: one value a pixel `(B, W, H)`; only its shape is used.
        mask: valid pixels `(B, 1, W, H)`; None: all are valid.

    Returns:
        By image `(B,)`, or one number for all; NaN for an image without valid pixels.
    """
    if mask is None:
        return values.shape[2]
    by_column = mask[:, 0].bool().sum(dim=2)
    return by_column.sum(dim=1) / (by_column > 0).sum(dim=1)
