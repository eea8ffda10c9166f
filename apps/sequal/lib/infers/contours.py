"""The `carotid_contours` infer task: LI and MA as curves that 3D Slicer loads, instead of a mask."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from lib.configs import Study
from lib.infers.carotid import CarotidInfer
from lib.infers.mask import Predicted, result_file
from sequal.errors import SettingsError
from sequal.files.imaging import Frame
from sequal.files.imaging.markups import MARKUPS_SUFFIX, write_markups
from sequal.prediction import contour_markups

__all__ = ["CarotidContoursInfer"]

#: 3D Slicer asks every model for `.nrrd`, and loads what comes by its own suffix.
_ASKED_FOR: Final = ("", MARKUPS_SUFFIX, ".json", ".nrrd")


class CarotidContoursInfer(CarotidInfer):
    """Segments and measures as `CarotidInfer` does, and answers with a 3D Slicer markups file.

    The params are those of `CarotidInfer`. The task names no label, so that no viewer takes it for the one that
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
                "model `carotid` for a mask."
            )
        if "result_compress" in request or request.get("save_label"):
            # OHIF asks for a raw mask, batch inference stores what comes as a label: neither can use curves.
            raise SettingsError(
                "Expected a viewer that loads curves, as 3D Slicer does, got a request for a mask. Choose the model "
                "`carotid`."
            )

    def _write(self, request: dict[str, Any], frame: Frame, prediction: Predicted) -> Path:
        file = result_file(MARKUPS_SUFFIX)
        write_markups(file, contour_markups(frame, prediction.of))
        return file
