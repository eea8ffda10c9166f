"""Adapters to MONAI Label's inference."""

from collections.abc import Callable

from lib.configs import Study
from lib.infers.batch import SequalBatchInfer
from lib.infers.carotid import CarotidInfer
from lib.infers.contours import CarotidContoursInfer
from lib.infers.mask import IMAGE_ID, VIEWED, MaskInfer
from lib.infers.review import CarotidReviewInfer, VolumeReviewInfer
from lib.infers.study_image import SENT_FILE, check_owner, check_storable, image_file
from lib.infers.volume import VolumeInfer

__all__ = [
    "IMAGE_ID",
    "INFERS",
    "OWNERS",
    "SENT_FILE",
    "VIEWED",
    "CarotidContoursInfer",
    "CarotidInfer",
    "CarotidReviewInfer",
    "SequalBatchInfer",
    "VolumeInfer",
    "VolumeReviewInfer",
    "check_owner",
    "check_storable",
    "image_file",
]

#: Infer tasks of each model by name; clients take the first as their default.
INFERS: dict[str, dict[str, Callable[[Study], MaskInfer]]] = {
    "carotid": {
        "carotid": CarotidInfer,
        "carotid_contours": CarotidContoursInfer,
        "carotid_review": CarotidReviewInfer,
    },
    "volume": {"volume": VolumeInfer, "volume_review": VolumeReviewInfer},
}

#: The model of each infer task.
OWNERS: dict[str, str] = {task: model for model, tasks in INFERS.items() for task in tasks}
