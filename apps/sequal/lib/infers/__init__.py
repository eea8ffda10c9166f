"""Adapters to MONAI Label's inference."""

from lib.infers.batch import SequalBatchInfer
from lib.infers.carotid import CarotidInfer

__all__ = ["CarotidInfer", "SequalBatchInfer"]
