"""The tasks `carotid_review` and `volume_review`: where the mask is expected to be wrong, for any viewer."""

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from lib.configs import Study
from lib.infers.carotid import CarotidInfer
from lib.infers.mask import IMAGE_ID, MaskInfer, Predicted
from lib.infers.volume import VolumeInfer
from sequal.errors import SettingsError
from sequal.files.imaging import Frame
from sequal.labels import REVIEW
from sequal.prediction import review_area

__all__ = ["CarotidReviewInfer", "ReviewInfer", "VolumeReviewInfer"]


class ReviewInfer(MaskInfer):
    """Answers with the area that an annotator should look at, as the one segment `review`.

    The area is no label: whoever submits it is refused, and beside other segments it is left out. The params are those
    of the model's own task, before which this stands in the order of inheritance.
    """

    is_label: ClassVar[bool] = False
    with_errors: ClassVar[bool] = True

    def __init__(self, study: Study) -> None:
        super().__init__(study)  # type: ignore[call-arg] # the model's own task says what it is
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

    def predict(self, frame: Frame) -> Predicted:
        """The area instead of the mask.

        Raises:
            SettingsError: the model in service has no error branch.
        """
        found = super().predict(frame)  # type: ignore[safe-super] # that of the model's own task
        if found.quality is None:
            raise SettingsError(
                "Expected the model in service to have an error branch, which says where a mask is wrong, got one "
                "without it. Train once with `quality_weight` over 0."
            )
        return replace(found, mask=review_area(found.quality.error, self.pixel_mm(frame)))

    @abstractmethod
    def pixel_mm(self, frame: Frame) -> tuple[float, ...]:
        """Size of a pixel of a frame, or of a voxel."""

    def _write(self, request: dict[str, Any], frame: Frame, prediction: Predicted) -> Path:
        if request.get(IMAGE_ID):
            # Before anybody has the area: its file may come back without the name of its segment.
            self._study.state.reviewed.put(str(request[IMAGE_ID]), prediction.mask)
        return super()._write(request, frame, prediction)


class CarotidReviewInfer(ReviewInfer, CarotidInfer):
    """Of a frame or a clip."""

    def pixel_mm(self, frame: Frame) -> tuple[float, ...]:
        """As the file says; of an image without calibration, the working pixel."""
        working = self._study.settings.working_spacing_mm
        return frame.calibration.spacing_mm or (working, working)


class VolumeReviewInfer(ReviewInfer, VolumeInfer):
    """Of a volume."""

    def pixel_mm(self, frame: Frame) -> tuple[float, ...]:
        """Along the axes of the array."""
        return tuple(float(size) for size in np.linalg.norm(frame.affine[:3, :3], axis=0))
