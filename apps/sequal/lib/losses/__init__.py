"""Losses of a round: supervised on annotated pixels, consistency of student and teacher, extent of the layer."""

from lib.losses.consistency import consistency_loss, consistency_weight, paper_consistency_weight
from lib.losses.extent import column_extent, extent_loss
from lib.losses.supervised import SupervisedLoss

__all__ = [
    "SupervisedLoss",
    "column_extent",
    "consistency_loss",
    "consistency_weight",
    "extent_loss",
    "paper_consistency_weight",
]
