"""Adapters to MONAI Label's inference."""

from collections.abc import Callable

from lib.configs import Study
from lib.infers.batch import SequalBatchInfer
from lib.infers.contours import ContoursInfer
from lib.infers.mask import IMAGE_ID, VIEWED, MaskInfer
from lib.infers.review import ReviewInfer
from lib.infers.study_image import SENT_FILE, check_owner, check_storable, image_file
from sequal.anatomy.model import Model
from sequal.anatomy.models import MODELS

__all__ = [
    "IMAGE_ID",
    "OWNERS",
    "SENT_FILE",
    "VIEWED",
    "SequalBatchInfer",
    "check_owner",
    "check_storable",
    "image_file",
    "infer_tasks",
]


def infer_tasks(model: type[Model]) -> dict[str, Callable[[Study], MaskInfer]]:
    """The infer tasks of a model by name; clients take the first as their default."""
    curves = {f"{model.name}_contours": ContoursInfer} if model.is_layer else {}
    return {model.name: MaskInfer, **curves, f"{model.name}_review": ReviewInfer}


#: The model of each infer task.
OWNERS: dict[str, str] = {task: name for name, model in MODELS.items() for task in infer_tasks(model)}
