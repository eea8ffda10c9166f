"""The figures of learning curves: area, labels to a target, intervals over seeds."""

from collections.abc import Sequence
from typing import Final

import numpy as np
from scipy import stats

__all__ = ["Estimate", "area_under_curve", "labels_to", "paired_bootstrap", "t_interval"]

#: Mean with its 95 % interval; the bounds are None for fewer than two seeds.
Estimate = dict[str, float | None]

_RESAMPLES: Final = 10_000
_BOOTSTRAP_SEED: Final = 0


def area_under_curve(labels: Sequence[int], dice: Sequence[float]) -> float:
    """Area under a learning curve by the trapezoid rule, divided by the range of labels, so that it is a Dice.

    Args:
        labels: labelled images at each round, rising.
        dice: mean test Dice at each round.

    Returns:
        0..1; the Dice itself for a single round.

    >>> area_under_curve([10, 20, 40], [0.5, 0.7, 0.9])  # (10 · 0.6 + 20 · 0.8) / 30
    0.7333333333333333
    """
    if len(labels) == 1:
        return float(dice[0])
    x, y = np.asarray(labels, dtype=np.float64), np.asarray(dice, dtype=np.float64)
    return float(np.sum(np.diff(x) * (y[1:] + y[:-1]) / 2) / (x[-1] - x[0]))


def labels_to(labels: Sequence[int], dice: Sequence[float], target: float) -> float | None:
    """Labels at which a curve first reaches `target`, by linear interpolation between rounds.

    Returns:
        The number of labels; the first round's where it is there from the start; None where it is never reached.

    >>> labels_to([10, 20, 40], [0.25, 0.5, 1.0], 0.75), labels_to([10, 20], [0.25, 0.5], 0.75)
    (30.0, None)
    """
    if dice[0] >= target:
        return float(labels[0])
    for place in range(1, len(dice)):
        before, after = dice[place - 1], dice[place]
        if after >= target:
            share = (target - before) / (after - before)
            return float(labels[place - 1] + share * (labels[place] - labels[place - 1]))
    return None


def t_interval(values: Sequence[float]) -> Estimate:
    """Mean over seeds with its 95 % interval by Student's t.

    >>> {name: round(value, 3) for name, value in t_interval([0.7, 0.8, 0.9]).items()}
    {'mean': 0.8, 'low': 0.552, 'high': 1.048}
    """
    mean = float(np.mean(values))
    if len(values) < 2:
        return {"mean": mean, "low": None, "high": None}
    half = float(stats.t.ppf(0.975, len(values) - 1) * np.std(values, ddof=1) / np.sqrt(len(values)))
    return {"mean": mean, "low": mean - half, "high": mean + half}


def paired_bootstrap(differences: Sequence[float]) -> Estimate:
    """Mean of paired differences with its 95 % percentile bootstrap interval (Efron, 1979), seeds resampled.

    With few seeds the interval is too narrow: it cannot reach beyond the smallest and largest difference.

    Args:
        differences: one a seed.

    >>> paired_bootstrap([0.02, 0.02, 0.02])
    {'mean': 0.02, 'low': 0.02, 'high': 0.02}
    """
    values = np.asarray(differences, dtype=np.float64)
    mean = float(values.mean())
    if len(values) < 2:
        return {"mean": mean, "low": None, "high": None}
    drawn = np.random.default_rng(_BOOTSTRAP_SEED).integers(len(values), size=(_RESAMPLES, len(values)))
    low, high = np.percentile(values[drawn].mean(axis=1), [2.5, 97.5])
    return {"mean": mean, "low": float(low), "high": float(high)}
