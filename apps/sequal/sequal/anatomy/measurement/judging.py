"""How well one predicted image agrees with its truth, where somebody traced it."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from sequal.anatomy.measurement.boundaries import Boundaries, boundaries_from_mask, boundaries_from_probability
from sequal.anatomy.measurement.segmentation import SegmentationScores, score_masks, score_segmentation
from sequal.labels import BACKGROUND, IGNORE, INTIMA_MEDIA

__all__ = ["FAILED_DICE", "judge_frame", "judge_volume"]

#: An image that shows what is segmented has failed when its Dice is lower.
FAILED_DICE: Final = 0.5


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
        **_overlap_and_distances(scores),
        "unit": scores.unit,
        **_lengths(boundaries_from_probability(probability), boundaries_from_mask(truth), spacing_mm),
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


def judge_volume(
    classes: NDArray[np.uint8],
    truth: NDArray[np.uint8],
    labels: Mapping[str, int],
    spacing_mm: tuple[float, ...] | None,
) -> dict[str, Any]:
    """Every figure of one volume, as JSON values.

    Voxels of the truth that nobody annotated (255) count for nothing.

    Args:
        classes: uint8 (X, Y, Z): 0 and the numbers of the labels.
        truth: uint8 of that shape, 255 as well.
        labels: number of each structure by its name.
        spacing_mm: size of a voxel along each axis; without it distances are in voxels, and there are no volumes.

    Returns:
        `layer` (whether the truth shows a structure), `empty` (no mask on annotated voxels), `failed` (a Dice under 0.5
        where there is a structure, a mask where there is none), `dice`, `iou`, `hd95`, `asd`: means over the structures
        that the truth or the mask shows, distances over those that both show; `unit`; `by_label` with the same for each
        of them, and `volume_ml` and `volume_ml_true`; `volume_bias`, mean over them of predicted minus true
        millilitres, and `volume_error`, of its size. What does not exist is None.
    """
    known = truth != IGNORE
    voxel_ml = None if spacing_mm is None else float(np.prod(spacing_mm)) / 1000.0
    by_label: dict[str, dict[str, Any]] = {}
    for name, number in labels.items():
        ours, theirs = (classes == number) & known, truth == number
        if ours.any() or theirs.any():
            by_label[name] = {
                **_overlap_and_distances(score_masks(ours, theirs, spacing_mm)),
                "volume_ml": None if voxel_ml is None else int(ours.sum()) * voxel_ml,
                "volume_ml_true": None if voxel_ml is None else int(theirs.sum()) * voxel_ml,
            }
    shown = list(by_label.values())
    layer = bool(((truth != BACKGROUND) & known).any())
    empty = not bool((classes[known] != BACKGROUND).any())
    dice = _mean([one["dice"] for one in shown]) if shown else 1.0
    differences = [one["volume_ml"] - one["volume_ml_true"] for one in shown] if voxel_ml is not None else []
    return {
        "layer": layer,
        "empty": empty,
        "failed": dice is None or dice < FAILED_DICE if layer else not empty,
        "dice": dice,
        "iou": _mean([one["iou"] for one in shown]) if shown else 1.0,
        "hd95": _mean([one["hd95"] for one in shown]),
        "asd": _mean([one["asd"] for one in shown]),
        "unit": "voxels" if spacing_mm is None else "mm",
        "volume_bias": _mean(differences),
        "volume_error": _mean([abs(difference) for difference in differences]),
        "by_label": by_label,
    }


def _overlap_and_distances(scores: SegmentationScores) -> dict[str, float | None]:
    return {"dice": scores.dice, "iou": scores.iou, "hd95": _finite(scores.hd95), "asd": _finite(scores.asd)}


def _finite(value: float) -> float | None:
    """The distance to an empty mask is infinite: none."""
    return value if math.isfinite(value) else None


def _mean(values: Sequence[float | None]) -> float | None:
    there = [value for value in values if value is not None]
    return sum(there) / len(there) if there else None
