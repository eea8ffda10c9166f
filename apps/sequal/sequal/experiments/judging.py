"""How well one predicted frame agrees with its truth, where somebody traced it."""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from sequal.anatomy.measurement import (
    Boundaries,
    boundaries_from_mask,
    boundaries_from_probability,
    score_segmentation,
)
from sequal.experiments.overlap import mean_or_none
from sequal.labels import IGNORE, INTIMA_MEDIA

__all__ = ["FAILED_DICE", "judge_frame", "mean_figures"]

#: A frame that shows the layer has failed when its Dice is lower.
FAILED_DICE: Final = 0.5
#: Averaged over the frames that show the layer; distances and thickness are in the frame's unit.
_OVERLAP: Final = ("dice", "iou")
_LENGTHS: Final = ("hd95", "asd", "imt_bias", "imt_error")
#: Averaged over the frames of these that have not failed: the distance to a wrong wall would hide all others.
_BOUNDARIES: Final = ("li_bias", "li_error", "ma_bias", "ma_error")


def judge_frame(
    probability: NDArray[np.float32], truth: NDArray[np.uint8], spacing_mm: tuple[float, float] | None
) -> dict[str, Any]:
    """Every figure of one frame, as JSON values.

    Pixels of the truth that nobody traced (255) count for nothing. Thickness and boundaries are those that the app
    measures, in the columns in which the truth shows the layer.

    Args:
        probability: float32 (W, H) of the layer, as an annotator is shown it.
        truth: uint8 (W, H) in {0, 1, 255}.
        spacing_mm: (dx, dy); without it lengths are in pixels.

    Returns:
        `layer` (whether the truth shows it), `empty` (no mask on traced pixels), `failed` (a Dice under 0.5 where there
        is a layer, a mask where there is none), `dice`, `iou`, `hd95`, `asd`, `unit`; `imt_predicted` and `imt_true`,
        the means over the columns that each of the two has; `imt_bias`, predicted minus true, and `imt_error`, its
        size; `li_bias`, `ma_bias` (positive: deeper than the truth), `li_error`, `ma_error`, means over the columns
        that both have. What does not exist is None: distances where one mask is empty, the others where one of the
        two has no layer.
    """
    mask = (probability > 0.5).astype(np.uint8) * np.uint8(INTIMA_MEDIA)
    layer = bool((truth == INTIMA_MEDIA).any())
    empty = not bool((mask[truth != IGNORE] == INTIMA_MEDIA).any())
    scores = score_segmentation(mask, truth, spacing_mm)
    return {
        "layer": layer,
        "empty": empty,
        "failed": scores.dice < FAILED_DICE if layer else not empty,
        "dice": scores.dice,
        "iou": scores.iou,
        "hd95": mean_or_none([scores.hd95]),
        "asd": mean_or_none([scores.asd]),
        "unit": scores.unit,
        **_lengths(boundaries_from_probability(probability), boundaries_from_mask(truth), spacing_mm),
    }


def mean_figures(records: list[dict[str, Any]]) -> dict[str, Any]:
    """The figures of a set of frames.

    Args:
        records: of `judge_frame`.

    Returns:
        Means over the frames that show the layer and have the value; None without any, and for lengths in mixed units.
        `unit`; `good`, the part of these frames whose Dice is over 0.8; how many frames there are (`frames`), failed
        (`failures`), have a layer and no mask (`empty`), no layer (`without_layer`), no layer but a mask
        (`false_masks`). Against an empty truth a Dice is 0 or 1, a matter of one speck: it would say little of
        segmentation and move the mean.
    """
    shown = [record for record in records if record["layer"]]
    bare = [record for record in records if not record["layer"]]
    found = [record for record in shown if not record["failed"]]
    units = sorted({record["unit"] for record in shown})
    means = {name: _mean(shown, name) for name in (*_OVERLAP, *_LENGTHS)}
    means |= {name: _mean(found, name) for name in _BOUNDARIES}
    if len(units) > 1:  # millimetres and pixels have no common mean
        means |= dict.fromkeys((*_LENGTHS, *_BOUNDARIES))
    return {
        **means,
        "unit": units[0] if len(units) == 1 else "mixed",
        "frames": len(records),
        "good": float(np.mean([record["dice"] > 0.8 for record in shown])) if shown else None,
        "failures": sum(record["failed"] for record in records),
        "empty": sum(record["empty"] for record in shown),
        "without_layer": len(bare),
        "false_masks": sum(not record["empty"] for record in bare),
    }


def _lengths(found: Boundaries, true: Boundaries, spacing_mm: tuple[float, float] | None) -> dict[str, float | None]:
    dy = (spacing_mm or (1.0, 1.0))[1]
    found = found.within(true.measured)
    both = found.measured
    predicted, truly = _thickness(found, dy), _thickness(true, dy)
    bias = None if predicted is None or truly is None else predicted - truly
    lengths = {
        "imt_predicted": predicted,
        "imt_true": truly,
        "imt_bias": bias,
        "imt_error": None if bias is None else abs(bias),
    }
    for name, ours, theirs in (("li", found.li, true.li), ("ma", found.ma, true.ma)):
        off = (ours[both] - theirs[both]) * dy
        lengths[f"{name}_bias"] = float(off.mean()) if off.size else None
        lengths[f"{name}_error"] = float(np.abs(off).mean()) if off.size else None
    return lengths


def _thickness(boundaries: Boundaries, dy: float) -> float | None:
    """The mean of `measure_imt`, without the figures beside it, which take most of its time."""
    columns = boundaries.measured
    return float((boundaries.ma[columns] - boundaries.li[columns]).mean()) * dy if columns.any() else None


def _mean(records: list[dict[str, Any]], name: str) -> float | None:
    return mean_or_none([record[name] for record in records if record[name] is not None])
