"""A frame in the form in which a viewer has it: as the slices of the series that the service shows."""

from dataclasses import replace
from typing import Final

import numpy as np

from sequal.files.dicom.grid import STEP_MM, pixel_spacing, slice_count
from sequal.files.imaging import Frame
from sequal.files.imaging.layout import PLAIN, Layout

__all__ = ["as_viewed"]

#: Viewers and ITK sort a series along its normal, against which the instances of a clip step.
_LAST_FRAME_FIRST: Final = Layout(flip_frames=True)


def as_viewed(frame: Frame) -> Frame:
    """The same frame, as if its file held the volume that OHIF and MONAI Label make of the series.

    A mask that is written on it, or a label that is read with its layout, has the viewer's slices: two of a still,
    those of a clip from the last frame to the first (`sequal.files.dicom.grid`).
    """
    width, height, frames = frame.grid
    dy, dx = pixel_spacing(frame.calibration)
    slices = slice_count(frames)
    affine = np.diag([-dx, -dy, STEP_MM, 1.0])
    affine[2, 3] = -STEP_MM * (slices - 1)
    layout = _LAST_FRAME_FIRST if frames > 1 else PLAIN
    return replace(frame, affine=affine, shape=(width, height, slices), layout=layout, place=None)
