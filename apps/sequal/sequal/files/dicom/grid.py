"""The form of a frame that viewers take for a volume, and the way back from it.

OHIF makes a volume, which it needs for a brush, only of two or more instances at different positions. A frame is
therefore written twice, a clip as one instance a frame, all one step apart. The positions are made for the display:
pixel rows run to the patient's left, columns to the patient's back, so that the image stands upright in an axial view;
the probe's place in the body is not known.
"""

from typing import Any, Final

from numpy.typing import NDArray

from sequal.files.imaging import Calibration

__all__ = [
    "FRAME_ORIENTATION",
    "STEP_MM",
    "frame_of_slice",
    "frames_to_slices",
    "pixel_spacing",
    "slice_count",
    "slice_position",
]

#: ImageOrientationPatient: direction of a row, direction of a column.
FRAME_ORIENTATION: Final = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
#: Distance between instances. The frames of a clip lie in one plane; the step is made up, and is no length.
STEP_MM: Final = 1.0
#: Between pixels of a frame without calibration, where viewers insist on a number; readers of this app take exactly
#: 1 mm for "not calibrated".
_PLACEHOLDER_MM: Final = 1.0


def pixel_spacing(calibration: Calibration) -> tuple[float, float]:
    """PixelSpacing: millimetres between rows, then between columns; the placeholder of 1 mm when not calibrated.

    >>> pixel_spacing(Calibration((0.08, 0.06), "given")), pixel_spacing(Calibration(None, "none"))
    ((0.06, 0.08), (1.0, 1.0))
    """
    dx, dy = calibration.spacing_mm or (_PLACEHOLDER_MM, _PLACEHOLDER_MM)
    return dy, dx


def slice_count(frames: int) -> int:
    """Instances that a clip of so many frames becomes.

    >>> slice_count(1), slice_count(5)
    (2, 5)
    """
    return max(frames, 2)


def slice_position(index: int) -> tuple[float, float, float]:
    """ImagePositionPatient of an instance: against the normal of the image as the number rises.

    Viewers show an axial stack from the head downwards, so that the clip plays forwards.

    >>> slice_position(2)
    (0.0, 0.0, -2.0)
    """
    return 0.0, 0.0, 0.0 if index == 0 else -STEP_MM * index


def frame_of_slice(index: int, frames: int) -> int:
    """The frame that slice `index` of the volume shows; ITK, OHIF and so MONAI Label sort along the normal.

    >>> [frame_of_slice(index, 3) for index in range(3)], [frame_of_slice(index, 1) for index in range(2)]
    ([2, 1, 0], [0, 0])
    """
    return slice_count(frames) - 1 - index if frames > 1 else 0


def frames_to_slices(values: NDArray[Any]) -> NDArray[Any]:
    """From the study's grid to the volume that MONAI Label and OHIF make of the exported series.

    Args:
        values: `(W, H, F)`, any type.

    Returns:
        `(W, H, 2)` twice the same for one frame, else `(W, H, F)` with the last frame first.
    """
    frames = values.shape[2]
    return values[:, :, [frame_of_slice(index, frames) for index in range(slice_count(frames))]]
