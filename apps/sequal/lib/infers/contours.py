"""The `MODEL_contours` infer task of a layer: LI and MA as curves that 3D Slicer loads, instead of a mask."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from lib.configs import Study
from lib.infers.mask import MaskInfer, result_file
from sequal.errors import SettingsError
from sequal.files.imaging import Frame
from sequal.files.imaging.markups import MARKUPS_SUFFIX, write_markups
from sequal.prediction import Prediction, contour_markups

__all__ = ["ContoursInfer"]

#: 3D Slicer asks every model for `.nrrd`, and loads what comes by its own suffix.
_ASKED_FOR: Final = ("", MARKUPS_SUFFIX, ".json", ".nrrd")


class ContoursInfer(MaskInfer):
    """Segments and measures as the model's own task does, and answers with a 3D Slicer markups file.

    The params are those of that task. This task names no label, so that no viewer takes it for the one that
    fills a segmentation.
    """

    def __init__(self, study: Study) -> None:
        super().__init__(study)
        self.labels: dict[str, int] = {}
        self.description = "Lumen-intima and media-adventitia as curves with the thickness, for 3D Slicer"

    def check(self, request: Mapping[str, Any]) -> None:
        """As for the mask; a viewer that wants one is told so."""
        suffix = str(request.get("result_extension") or "")
        if suffix not in _ASKED_FOR:
            raise SettingsError(
                f"Expected `result_extension` to be {MARKUPS_SUFFIX}, got {suffix!r}. The answer is curves: ask the "
                f"model `{self._study.model.name}` for a mask."
            )
        if "result_compress" in request or request.get("save_label"):
            # OHIF asks for a raw mask, batch inference stores what comes as a label: neither can use curves.
            raise SettingsError(
                "Expected a viewer that loads curves, as 3D Slicer does, got a request for a mask. Choose the model "
                f"`{self._study.model.name}`."
            )

    def _write(self, request: dict[str, Any], frame: Frame, prediction: Prediction, answer: NDArray[np.uint8]) -> Path:
        file = result_file(MARKUPS_SUFFIX)
        write_markups(file, contour_markups(frame, prediction.probability))
        return file
