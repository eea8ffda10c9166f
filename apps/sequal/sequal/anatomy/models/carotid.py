"""The far-wall intima-media layer of the carotid artery in ultrasound: frames and clips."""

import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, ClassVar, Final

import numpy as np
from monai.transforms import Compose
from numpy.typing import NDArray
from torch import Tensor

from sequal.anatomy.layer.convention import Convention, offsets
from sequal.anatomy.layer.extent import ColumnExtent
from sequal.anatomy.layer.far_background import far_background
from sequal.anatomy.layer.fusion import continue_layer
from sequal.anatomy.layer.pieces import clean_layer, layer_length, lumen_unevenness
from sequal.anatomy.layer.supervision import apply_supervision
from sequal.anatomy.layer.thickness import matching_offset, thicker_than_drawn
from sequal.anatomy.measurement import (
    FAILED_DICE,
    Compared,
    compare_layers,
    judge_frame,
    label_dice,
    label_warnings,
    measure_label,
    measure_probability,
    thickness_params,
)
from sequal.anatomy.model import Model, NativePrediction, PriorLoss
from sequal.anatomy.phantom.rehearsal import Rehearsal, rehearsal_frames
from sequal.errors import LabelError
from sequal.files.imaging import Frame, clean_label, read_label, says_no_layer
from sequal.files.imaging.dicom_series import SeriesImage, read_series
from sequal.files.imaging.layout import Layout
from sequal.labels import INTIMA_MEDIA, LABEL_NAMES
from sequal.learning.refinement import FusionResult, fuse
from sequal.preparation.augmentation import intensity_view, patch_geometry
from sequal.preparation.working_frame import Grid, WorkingFrame
from sequal.preparation.working_grid import LATERAL_FACTOR, frame_to_working

__all__ = ["MODEL", "Carotid", "labelled_lumen", "shortest_layer_mm"]

_LUMEN: Final = "uneven_lumen"
_LENGTH: Final = "short_layer_mm"
#: No carotid is wider, not even where it divides.
_WIDEST_ARTERY_MM: Final = 12.0
#: A layer of this part of the length of a short labelled one is believed.
_AS_SHORT: Final = 0.8


def labelled_lumen(surroundings: Mapping[str, float] | None) -> float | None:
    """An uneven lumen above a labelled layer; 0 before any label, None of a round that did not look."""
    return 0.0 if surroundings is None else surroundings.get(_LUMEN)


def shortest_layer_mm(surroundings: Mapping[str, float] | None) -> float:
    """What is shorter is the wall of a vessel that is cut across, unless labels are as short: 12 mm at most."""
    return min(_WIDEST_ARTERY_MM, _AS_SHORT * (surroundings or {}).get(_LENGTH, math.inf))


class Carotid(Model):
    """One layer that crosses the image, once in a column; arrays are (W, H, F)."""

    name: ClassVar[str] = "carotid"
    title: ClassVar[str] = "carotid intima-media"
    is_layer: ClassVar[bool] = True
    spatial_dims: ClassVar[int] = 2
    modalities: ClassVar[tuple[str, ...]] = ("US",)
    cleans: ClassVar[bool] = True
    looks_for: ClassVar[frozenset[str]] = frozenset({_LUMEN})

    @property
    def labels(self) -> Mapping[str, int]:
        """The layer alone."""
        return LABEL_NAMES

    @property
    def patch(self) -> tuple[int, int]:
        """A square."""
        return self.settings.patch, self.settings.patch

    @property
    def description(self) -> str:
        """Of the layer."""
        return "Far-wall intima-media layer of the carotid artery, with its thickness"

    def prepare(self, frame: Frame) -> WorkingFrame:
        """A still or a clip, of any size and spacing."""
        return frame_to_working(frame, self.settings)

    def pixel_mm(self, frame: Frame) -> tuple[float, float]:
        """As the file says; of an image without calibration, the working pixel."""
        spacing = self.settings.working_spacing_mm
        return frame.calibration.spacing_mm or (spacing, spacing)

    def read_series(self, folder: Path) -> SeriesImage:
        """A still, perhaps as two identical instances, or a clip."""
        return read_series(folder)

    def label_on(
        self, path: Path, shape: tuple[int, ...], layout: Layout, affine: NDArray[np.float64] | None
    ) -> NDArray[np.uint8]:
        """Uint8 (W, H, F) in {0, 1, 255}."""
        label, dropped = clean_label(read_label(path, shape, layout=layout))
        if not dropped and says_no_layer(label):
            return label  # every pixel is background, whatever the rule of supervision
        if not (label == INTIMA_MEDIA).any():
            raise LabelError(
                f"Expected {path.name} to show the layer or to be empty throughout, got neither. Label the image again."
            )
        return np.stack([apply_supervision(one, self.settings.supervision) for one in self._frames(label)], axis=2)

    def to_working(self, label: NDArray[np.uint8], grid: Grid) -> NDArray[np.uint8]:
        """With the background that follows from a partly traced layer."""
        return np.stack([self._complete(grid.label_to_working(one)) for one in self._frames(label)])

    def to_native(self, log_p: Tensor, grid: Grid) -> NativePrediction:
        """Arrays (W, H, F)."""
        probability = np.ascontiguousarray(np.moveaxis(grid.to_native(log_p[:, INTIMA_MEDIA].exp()), 0, 2))
        return _native(probability)

    def clean(
        self, prediction: NativePrediction, frame: Frame, surroundings: Mapping[str, float] | None = None
    ) -> NativePrediction:
        """Frame by frame without pieces that cannot be a wall (`min_piece_mm`)."""
        settings = self.settings
        if settings.min_piece_mm == 0:
            return prediction
        pixel_mm, noted = self.pixel_mm(frame), (labelled_lumen(surroundings), shortest_layer_mm(surroundings))
        cleaned = [
            clean_layer(probability, pixels, pixel_mm, settings.min_piece_mm, *noted)
            for probability, pixels in zip(self._frames(prediction.foreground), self._frames(frame.pixels), strict=True)
        ]
        return _native(np.stack(cleaned, axis=2))

    def surroundings(self, labelled: Iterable[tuple[NDArray[np.uint8], Frame]]) -> dict[str, float]:
        """`uneven_lumen`: the 90th percentile of `lumen_unevenness` over the labelled layers; 0 where none is labelled.

        The highest may be one in a shadow, with hardly more than black below the layer. `short_layer_mm`: the 10th
        percentile of their lengths.
        """
        if self.settings.min_piece_mm == 0:  # nothing is taken away
            return {}
        uneven, lengths = [], []
        for label, frame in labelled:
            dx, dy = self.pixel_mm(frame)
            for one, pixels in zip(self._frames(label == INTIMA_MEDIA), self._frames(frame.pixels), strict=True):
                unevenness = lumen_unevenness(one, pixels, dy)
                if unevenness is not None and math.isfinite(unevenness):
                    uneven.append(unevenness)
                if one.any():
                    lengths.append(layer_length(one, dx))
        found = {_LUMEN: float(np.quantile(uneven, 0.9, method="lower")) if uneven else 0.0}
        return found | ({_LENGTH: float(np.quantile(lengths, 0.1, method="higher"))} if lengths else {})

    def fuse(self, current: NDArray[np.uint8], expert: NDArray[np.uint8], prediction: NativePrediction) -> FusionResult:
        """Frame by frame; one of a clip that the expert did not draw in stays unknown."""
        fused, accepted = current.copy(), True
        for f in range(current.shape[2]):
            if not (expert[:, :, f] == INTIMA_MEDIA).any():
                continue
            result = self._fuse_frame(
                current[:, :, f], expert[:, :, f], prediction.classes[:, :, f], prediction.confidence[:, :, f]
            )
            accepted = accepted and result.accepted
            fused[:, :, f] = result.label
        return FusionResult(fused, accepted, int(np.count_nonzero(fused != current)))

    def _fuse_frame(
        self,
        current: NDArray[np.uint8],
        expert: NDArray[np.uint8],
        classes: NDArray[np.uint8],
        confidence: NDArray[np.float32],
    ) -> FusionResult:
        settings = self.settings
        result = fuse(
            current,
            expert,
            classes,
            confidence,
            threshold=settings.fusion_lambda,
            min_foreground=settings.fusion_min_foreground,
            min_agreement=settings.fusion_min_agreement,
            scope=settings.fusion_scope,
        )
        return continue_layer(result, current, expert) if settings.supervision == "columns" else result

    def geometry(self, *, on_structure: bool) -> Compose:
        """Flips from side to side, small turns and changes of size."""
        return patch_geometry(self.patch, on_structure=on_structure)

    def intensity(self) -> Compose:
        """Gain, gamma, blur and noise."""
        return intensity_view()

    def warnings(
        self, label: NDArray[np.uint8], frame: Frame, dropped: Mapping[int, int] | None = None
    ) -> tuple[str, ...]:
        """Could an expert have drawn it?"""
        return tuple(label_warnings(label, frame.calibration, dropped))

    def measure(self, label: NDArray[np.uint8], frame: Frame) -> dict[str, Any]:
        """`imt`, and of a clip `imt_frames`."""
        return thickness_params(measure_label(label, frame.calibration))

    def report(self, shown: NativePrediction, frame: Frame) -> dict[str, Any]:
        """The same from the probabilities, and under `of_mask` of the mask as it is drawn."""
        measured = measure_probability(shown.foreground, frame.calibration)
        return {**thickness_params(measured), "of_mask": self.measure(shown.classes, frame)}

    def compare(self, first: NDArray[np.uint8], second: NDArray[np.uint8], frame: Frame) -> tuple[Compared, ...]:
        """The layer: its thickness, LI and MA."""
        return (compare_layers(first, second, frame.calibration, *self.labels),)

    def judge(
        self, shown: NativePrediction, truth: NDArray[np.uint8], spacing_mm: tuple[float, ...] | None
    ) -> dict[str, Any]:
        """Thickness and boundaries as well."""
        spacing = None if spacing_mm is None else (spacing_mm[0], spacing_mm[1])
        return judge_frame(shown.foreground[:, :, 0], truth[:, :, 0], spacing)

    def prior(self) -> PriorLoss:
        """No column is far thicker than the thickest annotated one."""
        if self.settings.supervision == "full" or self.settings.extent_weight == 0:
            return super().prior()
        return ColumnExtent(self.settings.extent_weight)

    def convention(self, seen: Iterable[tuple[NDArray[np.uint8], NDArray[np.uint8], Grid]]) -> Convention:
        """By how much the reader has LI and MA deeper, in working pixels."""
        moved = []
        for classes, expert, grid in seen:
            scale = grid.working[1] / grid.native[1]
            for mask, label in zip(self._frames(classes), self._frames(expert), strict=True):
                found = offsets(mask, label)
                if found is not None:
                    moved.append((scale * found[0], scale * found[1]))
        return Convention.of(moved)

    def moved(
        self,
        label: NDArray[np.uint8],
        convention: Any,  # noqa: ANN401 - a `Convention`
        rng: np.random.Generator,
    ) -> NDArray[np.uint8]:
        """With LI and MA moved by the offsets of the convention."""
        return label if convention is None else np.stack([convention.move(frame, rng) for frame in label])

    def logit_offset(self, seen: Iterable[tuple[NativePrediction, NDArray[np.uint8], Frame]]) -> float:
        """From the thickness, on frames on which the layer is found."""
        found = []
        for shown, expert, frame in seen:
            if label_dice(shown.classes, expert) >= FAILED_DICE:
                height = self.pixel_mm(frame)[1]
                pairs = zip(self._frames(shown.foreground), self._frames(expert), strict=True)
                found += [thicker for p, label in pairs if (thicker := thicker_than_drawn(p, label, height))]
        return matching_offset(found)

    def rehearsal(self, cache: Path, seed: int, convention: Any) -> Rehearsal:  # noqa: ANN401 - a `Convention`
        """Simulated frames, labelled as the reader would."""
        return Rehearsal(rehearsal_frames(self.settings, cache), self.patch, seed, convention or Convention())

    def _complete(self, label: NDArray[np.uint8]) -> NDArray[np.uint8]:
        if self.settings.supervision == "full":
            return label
        pixel_mm = LATERAL_FACTOR * self.settings.working_spacing_mm, self.settings.working_spacing_mm
        return far_background(label, pixel_mm, self.settings.max_wall_angle)

    @staticmethod
    def _frames(array: NDArray[Any]) -> list[NDArray[Any]]:
        return [array[:, :, f] for f in range(array.shape[2])]


def _native(probability: NDArray[np.float32]) -> NativePrediction:
    classes = (probability > 0.5).astype(np.uint8) * np.uint8(INTIMA_MEDIA)
    return NativePrediction(classes, probability, np.maximum(probability, 1.0 - probability))


MODEL = Carotid
