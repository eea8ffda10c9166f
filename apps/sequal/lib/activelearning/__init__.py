"""Adapters to MONAI Label's active learning."""

from lib.activelearning.leased import LeasedStrategy

__all__ = ["LeasedStrategy"]
