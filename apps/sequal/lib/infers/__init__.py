"""Adapters to MONAI Label's inference."""

from lib.infers.batch import SequalBatchInfer
from lib.infers.carotid import CarotidInfer
from lib.infers.contours import CarotidContoursInfer
from lib.infers.mask import IMAGE_ID, VIEWED
from lib.infers.study_image import SENT_FILE, check_storable, image_file
from lib.infers.volume import VolumeInfer

__all__ = [
    "IMAGE_ID",
    "SENT_FILE",
    "VIEWED",
    "CarotidContoursInfer",
    "CarotidInfer",
    "SequalBatchInfer",
    "VolumeInfer",
    "check_storable",
    "image_file",
]
