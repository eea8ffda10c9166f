"""Losses: supervised, consistency and extent of the first method; what two networks teach each other of the second."""

from lib.losses.confident_disagreement import confident_disagreement_loss
from lib.losses.consistency import consistency_loss, consistency_weight, paper_consistency_weight
from lib.losses.contrast import prototype_contrast_loss
from lib.losses.cross_pseudo import CrossPseudoLoss
from lib.losses.extent import column_extent, extent_loss
from lib.losses.reliability import reliable_voxels
from lib.losses.supervised import SupervisedLoss

__all__ = [
    "CrossPseudoLoss",
    "SupervisedLoss",
    "column_extent",
    "confident_disagreement_loss",
    "consistency_loss",
    "consistency_weight",
    "extent_loss",
    "paper_consistency_weight",
    "prototype_contrast_loss",
    "reliable_voxels",
]
