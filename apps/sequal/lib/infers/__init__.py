"""Adapters to MONAI Label's inference."""

from lib.infers.batch import SequalBatchInfer
from lib.infers.carotid import IMAGE_ID, VIEWED, CarotidInfer
from lib.infers.contours import CarotidContoursInfer
from lib.infers.study_image import SENT_FILE, check_storable, image_file

__all__ = [
    "IMAGE_ID",
    "SENT_FILE",
    "VIEWED",
    "CarotidContoursInfer",
    "CarotidInfer",
    "SequalBatchInfer",
    "check_storable",
    "image_file",
]
