"""One image as the server gives it: intensities, grid and calibration."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sequal.errors import LabelError
from sequal.files.imaging.calibration import Calibration
from sequal.files.imaging.duplicates import COPIES
from sequal.files.imaging.layout import PLAIN, Layout
from sequal.files.imaging.placement import Placement

__all__ = ["Frame", "to_luma"]

#: ITU-R BT.601, the weights behind JPEG and Pillow's conversion to grey.
_LUMA = np.array([0.299, 0.587, 0.114], dtype=np.float32)


@dataclass(frozen=True)
class Frame:
    """One image file, single frame or cine clip.

    Attributes:
        pixels: Float32 `(W, H, F)`, finite, raw intensities as stored, one channel. A frame that is stored twice
            (`sequal.files.imaging.duplicates`) is there once.
        affine: Float64 `(4, 4)`, pixel to RAS millimetres, where ITK and so 3D Slicer show it. It is a place, no
            calibration: a JPEG that names dots per inch has a place by these.
        shape: Shape of the array in the file without its colour axis: `(W, H)`, `(W, H, 1)` or `(W, H, F)`,
            perhaps followed by axes of length one; `(W, H, 2)` for a frame that is stored twice.
        calibration: Size of a pixel, and where it was read.
        source: The file.
        layout: How the frame lies in the array of the file.
        place: Of the file's array; `None`: `affine` says it.
        notes: What the user should know although the image can be used.
    """

    pixels: NDArray[np.float32]
    affine: NDArray[np.float64]
    shape: tuple[int, ...]
    calibration: Calibration
    source: Path
    layout: Layout = PLAIN
    place: Placement | None = None
    notes: tuple[str, ...] = ()

    @property
    def grid(self) -> tuple[int, int, int]:
        """`(W, H, F)`."""
        width, height, frames = self.pixels.shape
        return width, height, frames

    @property
    def duplicated(self) -> bool:
        """Whether the file holds this one frame twice."""
        return math.prod(self.shape) == COPIES * math.prod(self.grid)

    def to_file_grid(self, values: NDArray[Any]) -> NDArray[Any]:
        """Give an array on this frame's `(W, H, F)` grid back in the shape of the file, on both copies of the frame.

        Args:
            values: `(W, H, F)`, any type.

        Returns:
            The same values in `self.shape`, of the same type.

        Raises:
            LabelError: `values` is on another grid.
        """
        if values.shape != self.grid:
            raise LabelError(
                f"Expected `values` to be on the grid {self.grid} of {self.source.name}, got {values.shape}. "
                "Resample them to the frame first."
            )
        copies = np.repeat(values, COPIES, axis=2) if self.duplicated else values
        return self.layout.to_file(copies).reshape(self.shape)


def to_luma(colour: NDArray[Any]) -> NDArray[np.float32]:
    """Grey value of colour pixels (ITU-R BT.601).

    Alpha is ignored, because screen captures carry it without meaning.

    Args:
        colour: `(..., 3)` RGB or `(..., 4)` RGBA, any range.

    Returns:
        Float32 `(...)` in the range that came in.

    >>> to_luma(np.array([[255, 255, 255], [255, 0, 0]])).astype(float).round(1).tolist()
    [255.0, 76.2]
    """
    grey: NDArray[np.float32] = colour[..., :3].astype(np.float32) @ _LUMA
    # The three weights do not add up to one exactly in float32: equal channels are handed through unchanged.
    equal = (colour[..., 0] == colour[..., 1]) & (colour[..., 1] == colour[..., 2])
    return np.where(equal, colour[..., 0], grey).astype(np.float32)
