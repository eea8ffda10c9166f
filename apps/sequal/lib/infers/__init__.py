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
    "owner_of",
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


def owner_of(task: str) -> str | None:
    """The model that an infer task is of; None for a name that no task has."""
    return next((model for model, tasks in INFERS.items() if task in tasks), None)
