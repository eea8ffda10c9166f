"""The thickness of what was drawn, frame by frame."""

import numpy as np
from numpy.typing import NDArray

from sequal.anatomy.measurement.boundaries import boundaries_from_mask, boundaries_from_probability
from sequal.anatomy.measurement.imt import ImtMeasurement, measure_imt
from sequal.files.imaging.calibration import Calibration

__all__ = ["measure_label", "measure_probability"]


def measure_label(label: NDArray[np.uint8], calibration: Calibration) -> tuple[ImtMeasurement, ...]:
    """Measure every frame of a label.

    Args:
        label: Uint8 `(W, H, F)` in {0, 1, 255}.
        calibration: Of its image.

    Returns:
        One measurement a frame; a frame in which nothing was drawn has none, and the flag `no_layer`.
    """
    return tuple(measure_imt(boundaries_from_mask(label[:, :, index]), calibration) for index in range(label.shape[2]))


def measure_probability(probability: NDArray[np.float32], calibration: Calibration) -> tuple[ImtMeasurement, ...]:
    """Measure every frame of a prediction, to a part of a pixel.

    Args:
        probability: float32 (W, H, F) in 0..1, of the layer.
        calibration: of its image.

    Returns:
        As `measure_label`.
    """
    frames = np.moveaxis(probability, 2, 0)
    return tuple(measure_imt(boundaries_from_probability(frame), calibration) for frame in frames)
