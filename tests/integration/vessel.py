"""A third model, as somebody would add it: structures in ultrasound frames. A test copies it into the app."""

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from monai.transforms import Compose
from numpy.typing import NDArray
from torch import Tensor

from sequal.anatomy.measurement import Compared, compare_volumes, judge_volume
from sequal.anatomy.model import Model, NativePrediction
from sequal.errors import LabelError
from sequal.files.imaging import Frame, read_label, says_no_layer
from sequal.files.imaging.dicom_series import SeriesImage, read_series
from sequal.files.imaging.layout import Layout
from sequal.labels import BACKGROUND, IGNORE
from sequal.learning.refinement import FusionResult, fuse
from sequal.preparation.augmentation import intensity_view, patch_geometry
from sequal.preparation.working_frame import Grid, WorkingFrame
from sequal.preparation.working_grid import frame_to_working


class Vessel(Model):
    """Structures by name (`labels`), each a class; arrays are (W, H, F)."""

    name: ClassVar[str] = "vessel"
    title: ClassVar[str] = "vessels in cross-section"
    spatial_dims: ClassVar[int] = 2
    named_by_settings: ClassVar[bool] = True
    modalities: ClassVar[tuple[str, ...]] = ("US",)
    drops_numbers: ClassVar[bool] = False

    @cached_property
    def labels(self) -> Mapping[str, int]:
        return {name: number for number, name in enumerate(self.settings.label_names, start=1)}

    @property
    def patch(self) -> tuple[int, int]:
        return self.settings.patch, self.settings.patch

    def prepare(self, frame: Frame) -> WorkingFrame:
        return frame_to_working(frame, self.settings)

    def pixel_mm(self, frame: Frame) -> tuple[float, ...]:
        return frame.calibration.spacing_mm or (self.settings.working_spacing_mm,) * 2

    def read_series(self, folder: Path) -> SeriesImage:
        return read_series(folder)

    def label_on(
        self, path: Path, shape: tuple[int, ...], layout: Layout, affine: NDArray[np.float64] | None
    ) -> NDArray[np.uint8]:
        label = read_label(path, shape, layout=layout, labels=self.labels)
        self.check_values(label, path.name)
        if not says_no_layer(label) and not ((label != BACKGROUND) & (label != IGNORE)).any():
            raise LabelError(f"Expected {path.name} to show a structure, got none. Label the frame again.")
        return label

    def to_working(self, label: NDArray[np.uint8], grid: Grid) -> NDArray[np.uint8]:
        return np.stack([grid.label_to_working(label[:, :, f]) for f in range(label.shape[2])])

    def to_native(self, log_p: Tensor, grid: Grid) -> NativePrediction:
        by_class = [np.moveaxis(grid.to_native(one), 0, 2) for one in log_p.exp().unbind(dim=1)]
        probability = np.stack(by_class)
        classes = probability.argmax(axis=0).astype(np.uint8)
        return NativePrediction(classes, 1 - probability[0], probability.max(axis=0))

    def fuse(self, current: NDArray[np.uint8], expert: NDArray[np.uint8], prediction: NativePrediction) -> FusionResult:
        found, sure, settings = prediction.classes, prediction.confidence, self.settings
        least, agreement = settings.fusion_min_foreground, settings.fusion_min_agreement
        return fuse(
            current,
            expert,
            found,
            sure,
            threshold=settings.fusion_lambda,
            min_foreground=least,
            min_agreement=agreement,
            scope=settings.fusion_scope,
        )

    def geometry(self, *, on_structure: bool) -> Compose:
        return patch_geometry(self.patch, on_structure=on_structure)

    def intensity(self) -> Compose:
        return intensity_view()

    def measure(self, label: NDArray[np.uint8], frame: Frame) -> dict[str, Any]:
        pixel = float(np.prod(self.pixel_mm(frame)))
        return {"areas_mm2": {name: pixel * int((label == number).sum()) for name, number in self.labels.items()}}

    def compare(self, first: NDArray[np.uint8], second: NDArray[np.uint8], frame: Frame) -> tuple[Compared, ...]:
        return compare_volumes(first, second, 1.0, self.labels)

    def judge(
        self, shown: NativePrediction, truth: NDArray[np.uint8], spacing_mm: tuple[float, ...] | None
    ) -> dict[str, Any]:
        return judge_volume(shown.classes, truth, self.labels, None)


MODEL = Vessel
