"""Adapters to MONAI Label's active learning."""

from lib.activelearning.in_turn import ModelsInTurn
from lib.activelearning.leased import LeasedStrategy

__all__ = ["LeasedStrategy", "ModelsInTurn"]
