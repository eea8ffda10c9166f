"""One image file as the networks take it."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from sequal.files.imaging.layout import PLAIN, Layout

__all__ = ["Grid", "WorkingFrame"]


class Grid(Protocol):
    """The relation between an image's own grid and that of the networks.

    Attributes:
        native: size of the image.
        working: size after resampling, before padding.
        window: what a network takes at once; None: all of it.
    """

    @property
    def native(self) -> tuple[int, ...]:
        """Size of the image."""

    @property
    def working(self) -> tuple[int, ...]:
        """Size after resampling, before padding."""

    @property
    def window(self) -> tuple[int, ...] | None:
        """Size of what a network takes at once; None: all of it."""

    def label_to_working(self, label: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Resample a label (*native): each pixel takes its most covered class."""

    def pad(self, x: Tensor) -> Tensor:
        """Pad (B, C, *working) at the far ends to what a network takes."""

    def crop(self, x: Tensor) -> Tensor:
        """Undo `pad`."""

    def to_native(self, probability: Tensor) -> NDArray[np.float32]:
        """Resample probabilities (B, *working) to float32 (B, *native), within 0..1."""


@dataclass(frozen=True)
class WorkingFrame:
    """One image file, ready for the networks.

    Attributes:
        pixels: float16 (F, 1, *working) in 0..1, F frames: 1 for a still or a volume, more for a clip.
        grid: the way to and from the image's own grid.
        layout: how a frame lies in its file.
        affine: float64 (4, 4) of a volume, voxel to RAS millimetres; None: a frame or a clip.
    """

    pixels: Tensor
    grid: Grid
    layout: Layout = PLAIN
    affine: NDArray[np.float64] | None = None

    @property
    def frames(self) -> int:
        """Number of frames."""
        return self.pixels.shape[0]
