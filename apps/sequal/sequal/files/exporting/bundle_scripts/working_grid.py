"""To the grid on which the network works, and back to the grid of the image.

This file travels with every exported bundle. It does what the app does
(`sequal/preparation/working_grid.py`); a test holds the two together.
"""

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from monai.config import KeysCollection
from monai.data import MetaTensor
from monai.transforms import MapTransform
from torch import Tensor

from .normalisation import normalise_intensity

__all__ = ["FromWorkingGridd", "ToWorkingGridd", "WorkingGridRule", "pixel_size_mm", "working_size"]


@dataclass(frozen=True)
class WorkingGridRule:
    """How the size of the working grid follows from an image.

    Attributes:
        spacing_mm: lateral and axial size of a working pixel.
        credible_mm: an image whose pixels are not within this range counts as not calibrated: its pixels are then
            taken to be as high and as wide as a working pixel is high.
        max_pixels: a larger working grid is coarsened to this.
        stride: sides of the network's input are multiples of it.
    """

    spacing_mm: tuple[float, float]
    credible_mm: tuple[float, float]
    max_pixels: int
    stride: int


def working_size(native: Sequence[int], pixel_mm: Sequence[float], rule: WorkingGridRule) -> tuple[int, int]:
    """Columns and rows of the working grid, before padding.

    Args:
        native: (W, H) of the image.
        pixel_mm: its pixel, lateral and axial.
        rule: see there.
    """
    low, high = rule.credible_mm
    calibrated = all(low <= size <= high for size in pixel_mm)
    dx, dy = pixel_mm if calibrated else (rule.spacing_mm[1], rule.spacing_mm[1])
    width, height = native[0] * dx / rule.spacing_mm[0], native[1] * dy / rule.spacing_mm[1]
    columns, rows = max(1, round(width)), max(1, round(height))
    if columns * rows > rule.max_pixels:
        shrink = math.sqrt(rule.max_pixels / (width * height))
        columns = max(1, min(math.floor(width * shrink), rule.max_pixels))
        rows = max(1, min(math.floor(height * shrink), rule.max_pixels // columns))
    return columns, rows


def pixel_size_mm(affine: Tensor, credible_mm: Sequence[float]) -> tuple[float, float] | None:
    """Lateral and axial size of a pixel; None for an image that is not calibrated."""
    dx, dy = _sides_mm(affine)
    low, high = credible_mm
    return (dx, dy) if low <= dx <= high and low <= dy <= high else None


def _sides_mm(affine: Tensor) -> tuple[float, float]:
    # The values of a file are float32: 0.06 comes back as 0.05999999866.
    dx, dy = (round(float(torch.linalg.vector_norm(affine[:3, axis].double())), 7) for axis in (0, 1))
    return dx, dy


class _WorkingGridTransform(MapTransform):
    """Reads the rule from the keywords of a configuration file."""

    def __init__(
        self,
        keys: KeysCollection,
        spacing_mm: Sequence[float],
        credible_mm: Sequence[float],
        max_pixels: int,
        stride: int,
    ) -> None:
        super().__init__(keys)
        self.rule = WorkingGridRule(
            (spacing_mm[0], spacing_mm[1]), (credible_mm[0], credible_mm[1]), max_pixels, stride
        )

    def _sizes(self, meta: Mapping[str, Any], affine: Tensor) -> tuple[tuple[int, ...], tuple[int, int]]:
        """Shape of the file's array, and columns and rows of its working grid."""
        shape = tuple(int(length) for length in meta["spatial_shape"])
        return shape, working_size(shape[:2], _sides_mm(affine), self.rule)


class ToWorkingGridd(_WorkingGridTransform):
    """Normalise one frame, (1, W, H) or (1, W, H, 1), resample it to the working grid and pad it at the far ends.

    Raises:
        ValueError: the image holds more than one frame, or pixels that are no numbers.
    """

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Replace the image under each key by float32 (1, columns, rows) in 0..1, of half precision as in the app."""
        result = dict(data)
        for key in self.key_iterator(result):
            result[key] = self._convert(result[key])
        return result

    def _convert(self, image: MetaTensor) -> MetaTensor:
        shape, size = self._sizes(image.meta, image.affine)
        if math.prod(shape[2:]) != 1 or image.shape[0] != 1:
            raise ValueError(
                f"Expected one grey frame a file, (W, H) or (W, H, 1), got {tuple(image.shape[1:])} with "
                f"{image.shape[0]} channels. Save the frames of a clip one by one."
            )
        pixels = np.array(image.numpy().reshape(shape[:2]), dtype=np.float32, order="C")
        if not np.isfinite(pixels).all():
            raise ValueError("Expected every pixel to be a finite number, got others. Export the image again.")
        frame = _resize(torch.from_numpy(normalise_intensity(pixels))[None, None], size).half().float()
        missing = [-length % self.rule.stride for length in size]
        padded = F.pad(frame, (0, missing[1], 0, missing[0]), mode="replicate")
        return MetaTensor(padded[0], meta=image.meta)


class FromWorkingGridd(_WorkingGridTransform):
    """The probability of the layer on the grid of the image.

    Args:
        keys: of the logits, (classes, columns, rows).
        image_key: of the image that they belong to, as `ToWorkingGridd` left it.
        spacing_mm: see `WorkingGridRule`, as all below.
        credible_mm: the same.
        max_pixels: the same.
        stride: the same.
    """

    def __init__(
        self,
        keys: KeysCollection,
        image_key: str,
        spacing_mm: Sequence[float],
        credible_mm: Sequence[float],
        max_pixels: int,
        stride: int,
    ) -> None:
        super().__init__(keys, spacing_mm, credible_mm, max_pixels, stride)
        self.image_key = image_key

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Replace the logits under each key by float32 probabilities in the shape of the file, with its affine."""
        result = dict(data)
        image = result[self.image_key]
        shape, size = self._sizes(image.meta, image.affine)
        for key in self.key_iterator(result):
            logits = torch.as_tensor(result[key]).as_subclass(Tensor).float()[None, :, : size[0], : size[1]]
            layer = torch.log_softmax(logits, dim=1)[:, 1:2].exp()
            native = _resize(layer, (shape[0], shape[1])).clamp(0.0, 1.0).cpu()
            result[key] = MetaTensor(native.reshape(shape), meta=image.meta)
        return result


def _resize(x: Tensor, size: tuple[int, int]) -> Tensor:
    if tuple(x.shape[-2:]) == size:
        return x
    return F.interpolate(x, size=size, mode="bilinear", align_corners=False, antialias=True)
