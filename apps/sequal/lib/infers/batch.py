"""Batch inference that works without a GPU."""

from collections.abc import Callable
from typing import Any

import torch
from monailabel.interfaces.datastore import Datastore
from monailabel.interfaces.tasks.batch_infer import BatchInferTask

__all__ = ["SequalBatchInfer"]


class SequalBatchInfer(BatchInferTask):
    """MONAI Label's own task divides by the number of GPUs unless it is told that there are none."""

    def __call__(self, request: dict[str, Any], datastore: Datastore, infer: Callable[..., Any]) -> dict[str, Any]:
        """Run `infer` over the images that the request names."""
        several = bool(request.get("multi_gpu", True)) and torch.cuda.device_count() > 0
        result: dict[str, Any] = super().__call__({**request, "multi_gpu": several}, datastore, infer)
        return result
