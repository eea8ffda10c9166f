"""The tasks `MODEL_review`: where the mask is expected to be wrong, for any viewer."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from lib.configs import Study
from lib.infers.mask import IMAGE_ID, MaskInfer
from sequal.errors import SettingsError
from sequal.files.imaging import Frame
from sequal.labels import REVIEW
from sequal.prediction import Prediction, review_area

__all__ = ["ReviewInfer"]


class ReviewInfer(MaskInfer):
    """Answers with the area that an annotator should look at, as the one segment `review`.

    The area is no label: whoever submits it is refused, and beside other segments it is left out. The params are those
    of the model's own task.
    """

    is_label: ClassVar[bool] = False
    with_errors: ClassVar[bool] = True

    def __init__(self, study: Study) -> None:
        super().__init__(study)
        self.labels = {REVIEW: 1}
        shown = ", ".join(study.model.labels)
        self.description = f"Where the mask of {shown} is expected to be wrong: look there first"

    def check(self, request: Mapping[str, Any]) -> None:
        """As for the mask; an area to look at is never stored as a label.

        Raises:
            SettingsError: that is asked for.
        """
        super().check(request)
        if request.get("save_label"):
            name = self._study.model.name
            raise SettingsError(
                f"Expected a model whose mask can be a label, got {name}_review. What it gives is an area to look at: "
                f"store the mask of `{name}`, or none."
            )

    def answer(self, frame: Frame, prediction: Prediction) -> NDArray[np.uint8]:
        """The area instead of the mask.

        Raises:
            SettingsError: the model in service has no error branch.
        """
        if prediction.quality is None:
            raise SettingsError(
                "Expected the model in service to have an error branch, which says where a mask is wrong, got one "
                "without it. Train once with `quality_weight` over 0."
            )
        return review_area(prediction.quality.error, self._study.model.pixel_mm(frame))

    def _write(self, request: dict[str, Any], frame: Frame, prediction: Prediction, answer: NDArray[np.uint8]) -> Path:
        if request.get(IMAGE_ID):
            # Before anybody has the area: its file may come back without the name of its segment.
            self._study.state.reviewed.put(str(request[IMAGE_ID]), answer)
        return super()._write(request, frame, prediction, answer)
