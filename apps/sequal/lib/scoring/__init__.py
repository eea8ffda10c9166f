"""Adapters to MONAI Label's scoring."""

from lib.scoring.pld import PldScoring, unscored

__all__ = ["PldScoring", "unscored"]
