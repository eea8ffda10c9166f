"""A penalty on columns that hold more of the layer than any annotated column does."""

import torch
from torch import Tensor

from sequal.labels import INTIMA_MEDIA

__all__ = ["column_extent", "extent_loss"]


def column_extent(label: Tensor) -> float:
    """Most pixels of the layer in one column of labels (B, 1, W, H); 0 where none shows it."""
    return float((label == INTIMA_MEDIA).sum(dim=-1).max()) if label.numel() else 0.0


def extent_loss(logits: Tensor, bound: float) -> Tensor:
    """mean((max(0, Σ_y p(x, y) − bound) / H)²) over the columns of logits (B, 2, W, H).

    The inequality form of a size constraint for weak labels (Kervadec et al., "Constrained-CNN losses for weakly
    supervised segmentation", Med. Image Anal. 54, 2019), taken per column. Columns that nobody annotated say nothing
    about background: without this term a network trained on sparse labels alone fills what is never annotated, such
    as the margins of the picture, with the layer from top to bottom, and fusion then writes that into the labels.

    Args:
        logits: of any columns, annotated or not, labelled image or not.
        bound: largest plausible number of layer pixels in a column, > 0.
    """
    extent = torch.softmax(logits, dim=1)[:, INTIMA_MEDIA].sum(dim=-1)
    excess = torch.relu(extent - bound) / logits.shape[-1]
    return torch.mean(excess**2)
