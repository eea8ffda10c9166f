"""How well a model segments and measures simulated frames that it never saw."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch

from sequal.anatomy.measurement import (
    bland_altman,
    boundaries_from_mask,
    measure_imt,
    measure_probability,
    score_segmentation,
)
from sequal.anatomy.phantom import PhantomFrame
from sequal.files.imaging import Calibration, Frame
from sequal.prediction import LoadedPair, predict_image
from sequal.settings import Settings

__all__ = ["PhantomMetrics", "as_frame", "evaluate_on_phantoms"]


@dataclass(frozen=True)
class PhantomMetrics:
    """Figures over a set of simulated frames.

    Attributes:
        frames: with a wall.
        dice_mean: mean Dice over frames with a wall; an empty mask counts as 0.
        dice_median: median of the same.
        empty: fraction of frames with a wall and no mask at all.
        imt_mae_mm: mean absolute error of the mean IMT, over frames where a layer was found.
        imt_bias_mm: mean of predicted minus true.
        imt_low_mm: lower 95 % limit of agreement.
        imt_high_mm: upper 95 % limit of agreement.
        no_wall: frames without a wall.
        false_wall: fraction of those that got a mask of more than 1 mm².
    """

    frames: int
    dice_mean: float
    dice_median: float
    empty: float
    imt_mae_mm: float
    imt_bias_mm: float
    imt_low_mm: float
    imt_high_mm: float
    no_wall: int
    false_wall: float

    def as_dict(self) -> dict[str, float]:
        """For JSON."""
        return asdict(self)


def as_frame(phantom: PhantomFrame) -> Frame:
    """A simulated frame as if it had been read from a calibrated file."""
    pixels = phantom.pixels[:, :, None].astype(np.float32)
    dx, dy = phantom.spacing_mm
    return Frame(
        pixels, np.diag([-dx, -dy, 1.0, 1.0]), pixels.shape, Calibration((dx, dy), "phantom"), Path("phantom.nii.gz")
    )


def evaluate_on_phantoms(
    phantoms: Iterable[PhantomFrame], loaded: LoadedPair, settings: Settings, device: torch.device
) -> PhantomMetrics:
    """Segment and measure each simulated frame at its own resolution, through the whole path of a real one."""
    dices: list[float] = []
    empty: list[bool] = []
    false_wall: list[bool] = []
    predicted_mm: list[float] = []
    true_mm: list[float] = []
    for phantom in phantoms:
        frame = as_frame(phantom)
        prediction = predict_image(frame, loaded, settings, device, with_errors=False)
        mask = prediction.mask[:, :, 0]
        if not phantom.mask.any():
            area_mm2 = np.count_nonzero(mask) * phantom.spacing_mm[0] * phantom.spacing_mm[1]
            false_wall.append(bool(area_mm2 > 1.0))
            continue
        dices.append(score_segmentation(mask, phantom.mask, phantom.spacing_mm).dice)
        empty.append(not mask.any())
        truth = measure_imt(boundaries_from_mask(phantom.mask), frame.calibration).mean
        found = measure_probability(prediction.probability, frame.calibration)[0].mean
        if truth is not None and found is not None:
            true_mm.append(truth)
            predicted_mm.append(found)
    agreement = bland_altman(predicted_mm, true_mm) if len(true_mm) > 1 else None
    nan = float("nan")
    return PhantomMetrics(
        frames=len(dices),
        dice_mean=float(np.mean(dices)) if dices else nan,
        dice_median=float(np.median(dices)) if dices else nan,
        empty=float(np.mean(empty)) if empty else nan,
        imt_mae_mm=agreement.mean_absolute_error if agreement else nan,
        imt_bias_mm=agreement.bias if agreement else nan,
        imt_low_mm=agreement.limits[0] if agreement else nan,
        imt_high_mm=agreement.limits[1] if agreement else nan,
        no_wall=len(false_wall),
        false_wall=float(np.mean(false_wall)) if false_wall else nan,
    )
