"""Losses of a round: supervised on annotated pixels, consistency between student and teacher."""

from lib.losses.consistency import consistency_loss, consistency_weight, paper_consistency_weight
from lib.losses.supervised import SupervisedLoss

__all__ = ["SupervisedLoss", "consistency_loss", "consistency_weight", "paper_consistency_weight"]
