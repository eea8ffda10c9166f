"""Adapters to MONAI Label's scoring."""

from lib.scoring.auto import AutoScoring
from lib.scoring.each_model import EachModel
from lib.scoring.label_checks import LabelChecks
from lib.scoring.pld import PldScoring, unscored
from lib.scoring.sqa import SqaScoring

__all__ = ["AutoScoring", "EachModel", "LabelChecks", "PldScoring", "SqaScoring", "unscored"]
