"""Adapters to MONAI Label's training."""

from lib.trainers.round import RoundTrain

__all__ = ["RoundTrain"]
