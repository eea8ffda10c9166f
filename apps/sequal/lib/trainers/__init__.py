"""Adapters to MONAI Label's training."""

from lib.trainers.carotid import CarotidTrain

__all__ = ["CarotidTrain"]
