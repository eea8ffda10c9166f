"""Any labelled structures of a CT, MR or ultrasound volume."""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Final

import numpy as np
from monai.transforms import Compose
from numpy.typing import NDArray
from torch import Tensor

from sequal.anatomy.measurement import Compared, compare_volumes, judge_volume
from sequal.anatomy.model import Model, NativePrediction
from sequal.errors import ImageError, LabelError, SettingsError
from sequal.files.imaging import Frame, read_label, says_no_layer
from sequal.files.imaging.dicom_series import SeriesImage
from sequal.files.imaging.layout import Layout
from sequal.files.imaging.volume_series import read_volume_series
from sequal.files.imaging.volume_slices import FEWEST_SLICES, volume_slices
from sequal.labels import BACKGROUND, IGNORE, same_name
from sequal.learning.refinement import FusionResult, fuse
from sequal.preparation.augmentation import volume_geometry, volume_intensity
from sequal.preparation.normalisation import normalise_intensity
from sequal.preparation.volume_grid import VolumeGrid
from sequal.preparation.working_frame import Grid, WorkingFrame

__all__ = ["MODEL", "Volume"]

#: A word by which the two labels of a structure that the body has on either side differ.
_SIDE: Final = re.compile(
    r"left|right|[lr]t?|links|linke[rs]?|rechts|rechte[rs]?|gauche|droite?|(izquierd|derech|sinistr|destr)[oa]"
)


class Volume(Model):
    """Structures by name (`labels`), each a class; arrays are those of the files, (X, Y, Z)."""

    name: ClassVar[str] = "volume"
    title: ClassVar[str] = "volumes"
    named_by_settings: ClassVar[bool] = True
    spatial_dims: ClassVar[int] = 3
    streams_apart: ClassVar[bool] = True
    branch_tells: ClassVar[bool] = True
    drops_numbers: ClassVar[bool] = False
    modalities: ClassVar[tuple[str, ...]] = ("CT", "MR", "PT")

    @cached_property
    def labels(self) -> Mapping[str, int]:
        """In the order of the setting.

        Raises:
            SettingsError: there are none.
        """
        names = self.settings.label_names
        if not names:
            raise SettingsError(
                "Expected `labels` to name what is segmented in volumes, got none. Add for example "
                '--conf labels "left atrium" or --conf labels "liver,spleen".'
            )
        return {name: number for number, name in enumerate(names, start=1)}

    @property
    def patch(self) -> tuple[int, ...]:
        """As the setting says, or as it was taken from the study.

        Raises:
            SettingsError: it is not known, or a network would reduce it to one value, of which there are no statistics.
        """
        patch = self._triple("volume_patch", self.settings.volume_patch_voxels)
        stride = self._stride
        if min(patch) < stride or max(patch) <= stride:
            raise SettingsError(
                f"Expected `volume_patch` to be {stride} voxels or more along each axis and over {stride} along one, "
                f"because the networks reduce {stride} voxels to one value, got {','.join(map(str, patch))}. Add "
                f"--conf volume_patch {2 * stride},{2 * stride},{stride}."
            )
        return patch

    @property
    def _stride(self) -> int:
        """Of the networks that may be asked for: with one method the second is of no use, and does no harm."""
        names = (self.settings.network, self.settings.second_network)
        return max(replace(self.shape, name=name).stride for name in names)

    @property
    def description(self) -> str:
        """Of the labels."""
        return f"{super().description} in a volume"

    def read_series(self, folder: Path) -> SeriesImage:
        """Slices in the order of their positions, in the unit of their modality."""
        return read_volume_series(folder)

    def planes(self, headers: Sequence[Any]) -> list[int]:
        """By their positions."""
        return volume_slices(headers, str(headers[0].SeriesInstanceUID)).planes

    def prepare(self, frame: Frame) -> WorkingFrame:
        """A volume of one channel, of any size, spacing and orientation.

        Raises:
            ImageError: it is no volume, its voxels are not credible, or there would be too many of the study's voxel.
        """
        if min(frame.grid) < FEWEST_SLICES:
            raise ImageError(
                f"Expected `{frame.source.name}` to be a volume of at least {FEWEST_SLICES} slices along each axis, "
                f"got {' x '.join(map(str, frame.grid))}. Leave frames and clips to --conf models carotid."
            )
        spacing = self._triple("volume_spacing", self.settings.volume_spacing_mm)
        grid = VolumeGrid.of(frame.grid, frame.affine, spacing, self.patch, self._stride, frame.source.name)
        if math.prod(grid.working) > self.settings.max_image_pixels:
            raise ImageError(
                f"Expected `{frame.source.name}` to have at most {self.settings.max_image_pixels} voxels of "
                f"{self.settings.volume_spacing} mm (`volume_spacing`), got {' x '.join(map(str, grid.working))}. "
                "Leave it out, or start the server with a coarser `volume_spacing` or a larger `max_image_pixels`."
            )
        pixels = grid.image_to_working(normalise_intensity(frame.pixels)).half()
        return WorkingFrame(pixels[None], grid, frame.layout, frame.affine)

    def pixel_mm(self, frame: Frame) -> tuple[float, ...]:
        """As the affine says."""
        return tuple(float(size) for size in np.linalg.norm(frame.affine[:3, :3], axis=0))

    def label_on(
        self, path: Path, shape: tuple[int, ...], layout: Layout, affine: NDArray[np.float64] | None
    ) -> NDArray[np.uint8]:
        """Uint8 of the array of the volume: classes and 255."""
        label = read_label(path, shape, layout=layout, labels=self.labels, affine=affine)
        self.check_values(label, path.name)
        if not says_no_layer(label) and not ((label != BACKGROUND) & (label != IGNORE)).any():
            raise LabelError(
                f"Expected {path.name} to show one of {', '.join(self.labels)} or to be empty throughout, got neither. "
                "Label the volume again."
            )
        return label

    def to_working(self, label: NDArray[np.uint8], grid: Grid) -> NDArray[np.uint8]:
        """As it is: every voxel counts."""
        return grid.label_to_working(label)[None]

    def to_native(self, log_p: Tensor, grid: Grid) -> NativePrediction:
        """The most probable class of each voxel."""
        probability = grid.to_native(log_p[0].exp())
        classes = probability.argmax(axis=0).astype(np.uint8)
        return NativePrediction(classes, 1.0 - probability[0], probability.max(axis=0))

    def fuse(self, current: NDArray[np.uint8], expert: NDArray[np.uint8], prediction: NativePrediction) -> FusionResult:
        """Voxel by voxel."""
        settings = self.settings
        return fuse(
            current,
            expert,
            prediction.classes,
            prediction.confidence,
            threshold=settings.fusion_lambda,
            min_foreground=settings.fusion_min_foreground,
            min_agreement=settings.fusion_min_agreement,
            scope=settings.fusion_scope,
        )

    def warnings(
        self, label: NDArray[np.uint8], frame: Frame, dropped: Mapping[int, int] | None = None
    ) -> tuple[str, ...]:
        """Were segments left out?"""
        if not dropped:
            return ()
        known = " and ".join(self.labels)
        return (f"{sum(dropped.values())} voxels of other segments are now background: the labels are {known}.",)

    def measure(self, label: NDArray[np.uint8], frame: Frame) -> dict[str, Any]:
        """`volumes_ml`, millilitres by label."""
        return {"volumes_ml": label_volumes_ml(label, frame.affine, self.labels)}

    def compare(self, first: NDArray[np.uint8], second: NDArray[np.uint8], frame: Frame) -> tuple[Compared, ...]:
        """Each label: its volume."""
        return compare_volumes(first, second, voxel_ml(frame.affine), self.labels)

    def judge(
        self, shown: NativePrediction, truth: NDArray[np.uint8], spacing_mm: tuple[float, ...] | None
    ) -> dict[str, Any]:
        """`volume_bias` and `volume_error` in millilitres as well, and every figure `by_label`."""
        return judge_volume(shown.classes, truth, self.labels, spacing_mm)

    def geometry(self, *, on_structure: bool) -> Compose:
        """Small turns, changes of size, and flips from left to right.

        A mirrored body would show the left one of two kidneys where the right one belongs: no flips where two labels
        differ by the side alone.
        """
        structures = {_without_side(name) for name in self.labels}
        mirror = len(structures) == len(self.labels)
        return volume_geometry(self.patch, on_structure=on_structure, mirror=mirror)

    def intensity(self) -> Compose:
        """Gain, gamma, blur and noise."""
        return volume_intensity()

    def _triple(self, key: str, value: tuple[float, ...] | tuple[int, ...] | None) -> tuple[int, ...]:
        if value is None:
            raise SettingsError(
                f"Expected `{key}` to be known, got auto without a study to take it from. Add --conf {key} with three "
                "numbers, for example 1,1,1.5 millimetres or 96,96,64 voxels."
            )
        return value  # type: ignore[return-value]


def _without_side(name: str) -> str:
    """A structure's name as both of its sides have it.

    >>> _without_side("Left kidney"), _without_side("kidney R"), _without_side("liver")
    ('kidney', 'kidney', 'liver')
    """
    return "-".join(word for word in re.findall(r"\w+", same_name(name)) if not _SIDE.fullmatch(word))


def label_volumes_ml(
    classes: NDArray[np.uint8], affine: NDArray[np.float64], labels: Mapping[str, int]
) -> dict[str, float]:
    """Volume of each label in millilitres.

    >>> label_volumes_ml(np.ones((10, 10, 10), np.uint8), np.diag([1.0, 1.0, 2.0, 1.0]), {"cube": 1})
    {'cube': 2.0}
    """
    size = voxel_ml(affine)
    return {name: round(int(np.count_nonzero(classes == number)) * size, 3) for name, number in labels.items()}


def voxel_ml(affine: NDArray[np.float64]) -> float:
    """Millilitres of a voxel, from its affine (4, 4) in millimetres."""
    return abs(float(np.linalg.det(affine[:3, :3]))) / 1000.0


MODEL = Volume
