"""Frames, boundaries and mask outlines drawn into matplotlib axes."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from sequal.anatomy.measurement import Boundaries
from sequal.files.imaging import Calibration
from sequal.labels import BACKGROUND, IGNORE

__all__ = ["LI_COLOUR", "MA_COLOUR", "draw_boundaries", "draw_frame", "draw_outline"]

LI_COLOUR = "#ffd400"
MA_COLOUR = "#ff5a36"

Axes = Any  # matplotlib comes without types


def draw_frame(axes: Axes, pixels: NDArray[np.float32], calibration: Calibration) -> None:
    """Show a frame as a scanner does: depth downwards, pixels in their true proportion where it is known.

    Args:
        axes: to draw into.
        pixels: (W, H), any range.
        calibration: gives the proportion; square pixels without one.
    """
    dx, dy = calibration.spacing_mm or (1.0, 1.0)
    axes.imshow(pixels.T, cmap="gray", aspect=dy / dx, interpolation="bilinear")
    axes.set_axis_off()


def draw_boundaries(axes: Axes, boundaries: Boundaries, width: float = 1.0) -> None:
    """Draw LI and MA; they are broken where there is no layer."""
    columns = np.arange(len(boundaries.li))
    axes.plot(columns, boundaries.li, color=LI_COLOUR, linewidth=width, label="LI")
    axes.plot(columns, boundaries.ma, color=MA_COLOUR, linewidth=width, label="MA")


def draw_outline(axes: Axes, label: NDArray[np.uint8], colour: str, width: float = 1.0) -> None:
    """Draw the outline of each class of a label (W, H); nothing for a label without any."""
    for number in np.unique(label[(label != BACKGROUND) & (label != IGNORE)]):
        if min(label.shape) > 1:
            axes.contour((label == number).T.astype(float), levels=[0.5], colors=[colour], linewidths=width)
