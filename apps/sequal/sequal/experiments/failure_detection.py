"""How well a score tells good masks from bad ones, by the figures of Zenk et al. (Med. Image Anal. 2025)."""

import math
from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import stats

__all__ = [
    "FAILURE",
    "aurc",
    "e_aurc",
    "error_map_dice",
    "failures_first",
    "mean_absolute_error",
    "pearson",
    "spearman",
]

#: A mask with a Dice under this is a failure.
FAILURE: Final = 0.5


def aurc(dice: Sequence[float], quality: Sequence[float]) -> float:
    """Area under the risk-coverage curve, risk 1 − Dice: the mean, over k, of the risk of the k masks trusted most.

    Geifman and El-Yaniv, NeurIPS 2017. Of equal qualities each has the mean risk of all of them, so that their order
    does not matter.

    Args:
        dice: true Dice by image, 0..1.
        quality: what is judged, higher is better.

    Returns:
        0..1, lower is better; NaN without images.

    >>> aurc([1.0, 0.5], [0.9, 0.1]), aurc([1.0, 0.5], [0.1, 0.9]), aurc([1.0, 0.5], [0.5, 0.5])
    (0.125, 0.375, 0.25)
    """
    risk, rank = 1 - np.asarray(dice, np.float64), np.asarray(quality, np.float64)
    if len(risk) == 0:
        return math.nan
    _, place = np.unique(-rank, return_inverse=True)
    mean = np.bincount(place, risk) / np.bincount(place)
    ordered = mean[np.sort(place)]
    return float(np.mean(np.cumsum(ordered) / np.arange(1, len(ordered) + 1)))


def e_aurc(dice: Sequence[float], quality: Sequence[float]) -> float:
    """AURC beyond that of a score that orders masks by their true Dice (Geifman et al., ICLR 2019); 0 is perfect.

    >>> e_aurc([1.0, 0.5], [0.9, 0.1]), e_aurc([1.0, 0.5], [0.1, 0.9])
    (0.0, 0.25)
    """
    return aurc(dice, quality) - aurc(dice, dice)


def pearson(dice: Sequence[float], quality: Sequence[float]) -> float:
    """Correlation with the true Dice; NaN where either is constant or there are fewer than three images.

    >>> round(pearson([0.1, 0.2, 0.3], [1.0, 2.0, 3.0]), 6)
    1.0
    """
    return float(stats.pearsonr(dice, quality).statistic) if _varies(dice, quality) else math.nan


def spearman(dice: Sequence[float], quality: Sequence[float]) -> float:
    """Rank correlation with the true Dice; NaN as in `pearson`.

    >>> round(spearman([0.1, 0.2, 0.9], [1.0, 2.0, 3.0]), 6)
    1.0
    """
    return float(stats.spearmanr(dice, quality).statistic) if _varies(dice, quality) else math.nan


def mean_absolute_error(dice: Sequence[float], quality: Sequence[float]) -> float:
    """Of a score that is meant as a Dice.

    >>> round(mean_absolute_error([1.0, 0.5], [0.9, 0.7]), 6)
    0.15
    """
    return float(np.mean(np.abs(np.asarray(dice) - np.asarray(quality)))) if len(dice) else math.nan


def failures_first(dice: Sequence[float], quality: Sequence[float], part: float = 0.1) -> float:
    """Share of failures among the part of the images that is asked for first, the lowest quality first.

    Of equal qualities each counts as the mean of all of them.

    Args:
        dice: true Dice by image; a failure has one under 0.5.
        quality: higher is better.
        part: of the images, at least one.

    >>> failures_first([0.9, 0.2, 0.8, 0.1], [0.9, 0.1, 0.2, 0.3], part=0.5)
    0.5
    """
    failed, rank = np.asarray(dice, np.float64) < FAILURE, np.asarray(quality, np.float64)
    if len(failed) == 0:
        return math.nan
    _, place = np.unique(rank, return_inverse=True)
    mean = np.bincount(place, failed) / np.bincount(place)
    first = max(1, math.ceil(part * len(failed)))
    return float(mean[np.sort(place)][:first].mean())


def error_map_dice(error: NDArray[np.float32], wrong: NDArray[np.bool_], threshold: float = 0.5) -> float | None:
    """Dice of where a mask is expected to be wrong with where it is wrong, over the pixels that are given.

    Args:
        error: probability of an error, or any map that is high where one is expected.
        wrong: where the mask is wrong, of the same shape.
        threshold: from which on an error is expected.

    Returns:
        0..1; None where nothing is wrong, for then it is 0 or 1 by a single pixel.

    >>> error_map_dice(np.array([0.9, 0.9, 0.1]), np.array([True, False, False]))
    0.6666666666666666
    """
    if not wrong.any():
        return None
    claimed = error >= threshold
    return float(2 * np.count_nonzero(claimed & wrong) / (np.count_nonzero(claimed) + np.count_nonzero(wrong)))


def _varies(dice: Sequence[float], quality: Sequence[float]) -> bool:
    return len(dice) >= 3 and bool(np.ptp(dice) > 0) and bool(np.ptp(quality) > 0)
