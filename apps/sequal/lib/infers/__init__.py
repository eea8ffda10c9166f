"""Adapters to MONAI Label's inference."""

from lib.infers.batch import SequalBatchInfer
from lib.infers.carotid import IMAGE_ID, CarotidInfer
from lib.infers.contours import CarotidContoursInfer

__all__ = ["IMAGE_ID", "CarotidContoursInfer", "CarotidInfer", "SequalBatchInfer"]
