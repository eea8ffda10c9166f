"""Agreement between two readers, or between a reader and the app."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from sequal.errors import MeasurementError

__all__ = ["Agreement", "Interval", "bland_altman", "icc_2_1"]

Interval = tuple[float, float]


@dataclass(frozen=True)
class Agreement:
    """Bland-Altman analysis of paired measurements, in the unit of the measurements.

    Attributes:
        pairs: Number of pairs.
        bias: Mean of first minus second.
        sd: Standard deviation of the differences (n - 1).
        limits: Lower and upper 95 % limit of agreement, bias ∓ 1.96 sd.
        bias_interval: 95 % confidence interval of the bias.
        lower_interval: 95 % confidence interval of the lower limit.
        upper_interval: 95 % confidence interval of the upper limit.
        mean_absolute_error: Mean of the absolute differences.
    """

    pairs: int
    bias: float
    sd: float
    limits: Interval
    bias_interval: Interval
    lower_interval: Interval
    upper_interval: Interval
    mean_absolute_error: float


def bland_altman(first: Sequence[float], second: Sequence[float]) -> Agreement:
    """Bias and limits of agreement with their confidence intervals.

    Bland and Altman, Statistical Methods in Medical Research 8:135 (1999): the variance of a limit is
    s² (1/n + z²/(2(n - 1))), with the quantile of Student's t for n - 1 degrees of freedom.

    Args:
        first: Measurements of one reader.
        second: Of the other, in the same order.

    Returns:
        The analysis; its sign is first minus second.

    Raises:
        MeasurementError: Fewer than two pairs, different lengths, or values that are not finite.

    >>> found = bland_altman([0.7, 0.8, 0.9], [0.6, 0.8, 0.8])
    >>> round(found.bias, 3), round(found.sd, 4)
    (0.067, 0.0577)
    """
    pairs = _table([first, second])
    differences = pairs[:, 0] - pairs[:, 1]
    count, bias, sd = len(differences), float(differences.mean()), float(differences.std(ddof=1))
    z = float(stats.norm.ppf(0.975))
    t = float(stats.t.ppf(0.975, count - 1))
    bias_half = t * sd / math.sqrt(count)
    limit_half = t * sd * math.sqrt(1.0 / count + z**2 / (2.0 * (count - 1)))
    lower, upper = bias - z * sd, bias + z * sd
    return Agreement(
        pairs=count,
        bias=bias,
        sd=sd,
        limits=(lower, upper),
        bias_interval=(bias - bias_half, bias + bias_half),
        lower_interval=(lower - limit_half, lower + limit_half),
        upper_interval=(upper - limit_half, upper + limit_half),
        mean_absolute_error=float(np.abs(differences).mean()),
    )


def icc_2_1(readers: Sequence[Sequence[float]]) -> float:
    """Intraclass correlation ICC(2,1): two-way random effects, absolute agreement, a single reader.

    Shrout and Fleiss, Psychological Bulletin 86:420 (1979).

    Args:
        readers: One sequence of measurements a reader, the same subjects in the same order.

    Returns:
        At most 1; NaN when all measurements are equal, where it is not defined.

    Raises:
        MeasurementError: Fewer than two readers or subjects, different lengths, or values that are not
            finite.

    >>> icc_2_1([[1.0, 2.0, 3.0], [1.0, 2.0, 3.0]])
    1.0
    """
    table = _table(readers)
    subjects, raters = table.shape
    grand = table.mean()
    between_subjects = raters * ((table.mean(axis=1) - grand) ** 2).sum() / (subjects - 1)
    between_raters = subjects * ((table.mean(axis=0) - grand) ** 2).sum() / (raters - 1)
    residual = table - table.mean(axis=1, keepdims=True) - table.mean(axis=0) + grand
    error = (residual**2).sum() / ((subjects - 1) * (raters - 1))
    spread = between_subjects + (raters - 1) * error + raters * (between_raters - error) / subjects
    return float((between_subjects - error) / spread) if np.ptp(table) else float("nan")


def _table(readers: Sequence[Sequence[float]]) -> NDArray[np.float64]:
    """Measurements as `(subjects, readers)`."""
    lengths = [len(reader) for reader in readers]
    if len(lengths) < 2 or len(set(lengths)) > 1 or lengths[0] < 2:
        raise MeasurementError(
            f"Expected two or more readers with the same two or more subjects, got lengths {lengths}. "
            "Keep the subjects that every reader measured."
        )
    table = np.asarray(readers, dtype=np.float64).T
    if not np.isfinite(table).all():
        raise MeasurementError(
            f"Expected finite measurements, got {int((~np.isfinite(table)).sum())} that are not. "
            "Leave out the subjects that a reader could not measure."
        )
    return table
