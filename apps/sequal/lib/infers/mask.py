"""The infer task of every model: a mask on the image's own grid, and what the model says of it."""

import logging
import os
import tempfile
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Final

import numpy as np
import torch
from monailabel.interfaces.tasks.infer_v2 import InferTask, InferType
from numpy.typing import NDArray

from lib.configs import Study, refusal
from lib.web.dicomweb import as_viewed
from sequal.errors import ImageError, SequalError, SettingsError, StudyError
from sequal.files.imaging import Frame, read_frame
from sequal.files.imaging.claims import large_images_take_turns
from sequal.files.imaging.writing import WRITABLE_SUFFIXES, WRITABLE_TYPES, write_on_frame
from sequal.prediction import Prediction, predict_image
from sequal.processor import Threads

__all__ = ["IMAGE_ID", "VIEWED", "MaskInfer", "result_file"]

logger = logging.getLogger(__name__)

#: Networks that run at a time; each takes memory, and all of them the same cores.
_FEW_AT_ONCE: Final = threading.BoundedSemaphore(max(2, (os.cpu_count() or 2) // 2))
#: Request key under which the app adds the id of an image of the study, whose file is under `image`.
IMAGE_ID: Final = "image_id"
#: Request key under which the app says that the mask is to have the slices that the image has in a viewer. No client
#: can send either of them.
VIEWED: Final = "viewed"

_THREADS: Final = Threads(torch.get_num_threads())


class MaskInfer(InferTask):
    """Segments an image with the model in service.

    Request keys beside MONAI Label's own: `result_extension` (`.nii.gz`, `.nii`, `.nrrd`), `result_dtype`,
    `result_compress`. The reply's params hold `pld`, `confidence`, `predicted_dice` (null where nothing was found
    and there is no error branch), `label_names`, `latencies`, `centroids`, and what the model reports of its mask.

    Attributes:
        is_label: whether the mask may become a label.
        with_errors: whether the map of expected errors is wanted of any mask; it takes time.
    """

    is_label: ClassVar[bool] = True
    with_errors: ClassVar[bool] = False

    def __init__(self, study: Study) -> None:
        super().__init__(
            type=InferType.SEGMENTATION,
            labels=dict(study.model.labels),
            dimension=study.model.spatial_dims,
            description=study.model.description,
        )
        self._study = study

    def answer(self, frame: Frame, prediction: Prediction) -> NDArray[np.uint8]:
        """What is answered with: the mask, uint8, the array of the image.

        Raises:
            SequalError: there is no answer.
        """
        return prediction.mask

    def is_valid(self) -> bool:
        """Whether there is a model to answer with."""
        return self._study.served.path is not None

    def __call__(self, request: dict[str, Any]) -> tuple[str | None, dict[str, Any]]:
        """Segment `request["image"]`.

        Returns:
            The result file (None with `result_write_to_file = false`) and the params.
        """
        try:
            return self._run(request)
        except SequalError as error:
            raise refusal(error) from error

    def _run(self, request: dict[str, Any]) -> tuple[str | None, dict[str, Any]]:
        self.check(request)
        start = time.perf_counter()
        path = self._path(request)
        with large_images_take_turns(path):
            frame = read_frame(path)
            read = time.perf_counter()
            with _FEW_AT_ONCE, _THREADS.of_one() as threads:
                torch.set_num_threads(threads)  # of this thread of the server
                prediction = self._predict(frame)
                answer, report = self.answer(frame, prediction), self._study.model.report(prediction.shown, frame)
        inferred = time.perf_counter()
        wanted = request.get("result_write_to_file", True)
        file = self._write(request, frame, prediction, answer) if wanted else None
        end = time.perf_counter()
        params: dict[str, Any] = {
            "pld": prediction.pld,
            "confidence": prediction.confidence,
            "predicted_dice": prediction.predicted_dice,
            **report,
            "label_names": self.labels,
            "centroids": {},
            "latencies": {
                "pre": round(read - start, 3),
                "infer": round(inferred - read, 3),
                "write": round(end - inferred, 3),
                "total": round(end - start, 3),
            },
        }
        return None if file is None else str(file), params

    def _predict(self, frame: Frame) -> Prediction:
        study = self._study
        loaded, settings = study.served.load(), study.settings
        return predict_image(frame, loaded, settings, study.device, with_errors=self.with_errors)

    def check(self, request: Mapping[str, Any]) -> None:
        """Refuse a form of result that this task does not have, before the networks run.

        Raises:
            SettingsError: it is asked for.
        """
        _result_suffix(request)
        _result_dtype(request)

    def _write(self, request: dict[str, Any], frame: Frame, prediction: Prediction, answer: NDArray[np.uint8]) -> Path:
        """Write the result that the request asks for to a temporary file."""
        file = result_file(_result_suffix(request))
        seen = as_viewed(frame) if request.get(VIEWED) else frame
        try:
            mask = answer.astype(_result_dtype(request))
            write_on_frame(file, mask, seen, compress=_is_true(request.get("result_compress")))
        except BaseException:
            file.unlink(missing_ok=True)
            raise
        if self.is_label and seen.duplicated and request.get(IMAGE_ID):
            try:
                self._study.state.shown.put(str(request[IMAGE_ID]), prediction.mask[:, :, 0])
            except StudyError as error:  # the mask is right all the same
                logger.warning("What is shown of %s cannot be noted: %s", request[IMAGE_ID], error)
        return file

    def _path(self, request: dict[str, Any]) -> Path:
        image = request.get("image")
        if not isinstance(image, str) or not image:
            raise ImageError(
                "Expected `image` to be the id of an image of this study, or a file sent along, got an id that the "
                "study does not have. Ask for the next sample, or reload the list of images."
            )
        return Path(image)


def _result_suffix(request: Mapping[str, Any]) -> str:
    suffix = str(request.get("result_extension") or ".nii.gz")
    suffix = suffix if suffix.startswith(".") else f".{suffix}"
    if suffix not in WRITABLE_SUFFIXES:
        raise SettingsError(
            f"Expected `result_extension` to be one of {', '.join(WRITABLE_SUFFIXES)}, got {suffix!r}. "
            "Ask for one of these."
        )
    return suffix


def _result_dtype(request: Mapping[str, Any]) -> np.dtype[Any]:
    name = request.get("result_dtype") or "uint8"
    # By name: a dtype of any other kind could hold a thousand bytes a pixel.
    if name not in WRITABLE_TYPES:
        raise SettingsError(
            f"Expected `result_dtype` to be one of {', '.join(WRITABLE_TYPES)}, got {repr(name)[:80]}. "
            "Ask for 'uint8', for example."
        )
    return np.dtype(name)


def result_file(suffix: str) -> Path:
    """An empty temporary file."""
    # MONAI Label removes the file after sending it.
    with tempfile.NamedTemporaryFile(suffix=suffix, delete=False) as file:
        return Path(file.name)


def _is_true(value: object) -> bool:
    return str(value).lower() in {"1", "true", "yes", "on"}
