"""Losses: supervised and consistency of the first method; what two networks teach each other of the second."""

from sequal.learning.losses.confident_disagreement import confident_disagreement_loss
from sequal.learning.losses.consistency import consistency_loss, consistency_weight, paper_consistency_weight
from sequal.learning.losses.contrast import prototype_contrast_loss
from sequal.learning.losses.cross_pseudo import CrossPseudoLoss
from sequal.learning.losses.reliability import reliable_voxels
from sequal.learning.losses.supervised import SupervisedLoss

__all__ = [
    "CrossPseudoLoss",
    "SupervisedLoss",
    "confident_disagreement_loss",
    "consistency_loss",
    "consistency_weight",
    "paper_consistency_weight",
    "prototype_contrast_loss",
    "reliable_voxels",
]
