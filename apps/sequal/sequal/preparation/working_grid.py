"""The grid on which the networks see a frame, and the way back to the frame's own grid."""

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from sequal.files.imaging import Frame
from sequal.files.imaging.calibration import Calibration
from sequal.learning.networks.architecture import NETWORK_STRIDE
from sequal.preparation.normalisation import normalise_intensity
from sequal.preparation.working_frame import WorkingFrame
from sequal.settings import Settings

__all__ = ["LATERAL_FACTOR", "WorkingGrid", "frame_to_working", "padded_size"]

#: The working pixel is this many times as wide as it is deep: ultrasound resolves far less across the beam than
#: along it, and half the columns halve the time without a loss that we could measure.
LATERAL_FACTOR: Final = 2.0


@dataclass(frozen=True)
class WorkingGrid:
    """The relation between a frame's own grid and the grid of the networks.

    Attributes:
        native: (W, H) of the frame.
        working: (W, H) after resampling, before padding.
    """

    native: tuple[int, int]
    working: tuple[int, int]

    @classmethod
    def of(
        cls, native: tuple[int, int], calibration: Calibration, working_spacing_mm: float, max_pixels: int
    ) -> "WorkingGrid":
        """The grid for a frame: `working_spacing_mm` along the depth, twice that laterally.

        A frame that is not calibrated is taken as if its pixels were `working_spacing_mm` high and wide. A frame
        that would exceed `max_pixels` is coarsened in both directions.
        """
        dx, dy = calibration.spacing_mm or (working_spacing_mm, working_spacing_mm)
        width = native[0] * dx / (working_spacing_mm * LATERAL_FACTOR)
        height = native[1] * dy / working_spacing_mm
        columns, rows = max(1, round(width)), max(1, round(height))
        if columns * rows > max_pixels:
            shrink = math.sqrt(max_pixels / (width * height))
            columns = max(1, min(math.floor(width * shrink), max_pixels))
            rows = max(1, min(math.floor(height * shrink), max_pixels // columns))
        return cls(native, (columns, rows))

    @property
    def window(self) -> None:
        """A network takes a frame at once."""

    @property
    def padded(self) -> tuple[int, int]:
        """(W, H) that the networks get: the next multiples of their stride."""
        return padded_size(self.working)

    def image_to_working(self, image: NDArray[np.float32]) -> Tensor:
        """Resample (W, H) to float32 (1, *working), low-pass filtered where it shrinks."""
        x = torch.from_numpy(np.ascontiguousarray(image))[None, None]
        return _resize(x, self.working)[0]

    def label_to_working(self, label: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Resample a label (W, H) to (*working): each pixel takes its most covered class."""
        t = torch.from_numpy(np.ascontiguousarray(label))
        classes = np.unique(label)
        shares = torch.stack([(t == int(c)).float() for c in classes])[None]
        winner = _resize(shares, self.working)[0].argmax(dim=0)
        found: NDArray[np.uint8] = classes[winner.numpy()]
        return found

    def pad(self, x: Tensor) -> Tensor:
        """Pad (B, C, *working) at the far ends to `padded`, repeating the border (works for any small size)."""
        return F.pad(x, (0, self.padded[1] - x.shape[-1], 0, self.padded[0] - x.shape[-2]), mode="replicate")

    def crop(self, x: Tensor) -> Tensor:
        """Undo `pad` on (B, C, W, H)."""
        return x[..., : self.working[0], : self.working[1]]

    def to_native(self, probability: Tensor) -> NDArray[np.float32]:
        """Resample probabilities (B, *working) to float32 (B, *native), within 0..1."""
        return _resize(probability[:, None].float(), self.native)[:, 0].clamp(0.0, 1.0).cpu().numpy()


def frame_to_working(frame: Frame, settings: Settings) -> WorkingFrame:
    """Bring a still, or every frame of a clip, to the working grid, normalised.

    Args:
        frame: as read from file, any size and spacing.
        settings: `working_spacing_mm` and `max_working_pixels` are used.
    """
    width, height, count = frame.grid
    grid = WorkingGrid.of((width, height), frame.calibration, settings.working_spacing_mm, settings.max_working_pixels)
    pixels = [grid.image_to_working(normalise_intensity(frame.pixels[:, :, f])).half() for f in range(count)]
    return WorkingFrame(torch.stack(pixels), grid, frame.layout)


def padded_size(working: tuple[int, int]) -> tuple[int, int]:
    """The next multiples of the networks' stride.

    >>> padded_size((1, 64))
    (32, 64)
    """
    width, height = (math.ceil(side / NETWORK_STRIDE) * NETWORK_STRIDE for side in working)
    return width, height


def _resize(x: Tensor, size: tuple[int, int]) -> Tensor:
    if tuple(x.shape[-2:]) == size:
        return x
    return F.interpolate(x, size=size, mode="bilinear", align_corners=False, antialias=True)
