"""A penalty on columns that hold more of the layer than any annotated column does."""

from typing import Final

import torch
from torch import Tensor

from sequal.labels import INTIMA_MEDIA

__all__ = ["ColumnExtent", "column_extent", "extent_loss"]

#: A column may hold this many times the layer of the thickest annotated one, as a plaque does.
_PLAUSIBLE: Final = 2.0


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


class ColumnExtent:
    """`extent_loss` with a bound that follows from all labels seen so far: twice the thickest column.

    Args:
        weight: of the loss.
    """

    def __init__(self, weight: float) -> None:
        self._weight = weight
        self._thickest = 0.0

    def __call__(self, logits: Tensor, label: Tensor) -> Tensor | float:
        """The weighted loss of logits (B, 2, W, H) beside their labels (B, 1, W, H); 0 before a label was seen."""
        self._thickest = max(self._thickest, column_extent(label))
        if self._thickest == 0:
            return 0.0
        return self._weight * extent_loss(logits, _PLAUSIBLE * self._thickest)
