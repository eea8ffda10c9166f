"""When the network has learnt the clean part of the labels and is about to memorise the noise (ADELE).

Liu et al., "Adaptive early-learning correction for segmentation from noisy annotations", CVPR 2022: fit
f(x) = a(1 − exp(−x^b / c)), 0 < a ≤ 1, to the training IoU per epoch and act when its slope has fallen.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import least_squares

__all__ = ["EarlyLearningFit", "early_learning_over", "fit_early_learning", "paper_trigger"]

#: Three parameters need at least three epochs.
_MIN_EPOCHS = 3
#: A slope per epoch below this is flat.
_FLAT = 1e-3
#: A flat curve under this IoU belongs to a network that has learnt nothing yet.
_NOTHING_LEARNT = 0.05


@dataclass(frozen=True)
class EarlyLearningFit:
    """The fitted curve f(x) = a(1 − exp(−x^b / c)); x is the epoch, from 1."""

    a: float
    b: float
    c: float

    def slope(self, x: ArrayLike) -> NDArray[np.float64]:
        """f'(x) = a · (b/c) · x^(b−1) · exp(−x^b / c)."""
        x = np.asarray(x, dtype=np.float64)
        return self.a * self.b / self.c * x ** (self.b - 1) * np.exp(-(x**self.b) / self.c)

    def curvature(self, x: ArrayLike) -> NDArray[np.float64]:
        """f''(x) = f'(x) · ((b − 1)/x − (b/c) · x^(b−1))."""
        x = np.asarray(x, dtype=np.float64)
        return self.slope(x) * ((self.b - 1) / x - self.b / self.c * x ** (self.b - 1))


def fit_early_learning(iou: Sequence[float]) -> EarlyLearningFit | None:
    """Least-squares fit of the training IoU of epochs 1, 2, …; None with under three epochs or no convergence.

    Args:
        iou: IoU of the student with the current labels, one value (0..1) an epoch; NaN is left out.
    """
    y = np.asarray(iou, dtype=np.float64)
    x = np.arange(1, len(y) + 1, dtype=np.float64)
    x, y = x[np.isfinite(y)], y[np.isfinite(y)]
    if len(y) < _MIN_EPOCHS:
        return None
    start = (min(max(float(y.max()), 0.05), 1.0), 1.0, 1.0)
    # Not curve_fit: it would also estimate a covariance, and warn about a flat curve, which has none.
    found = least_squares(
        lambda p: p[0] * (1 - np.exp(-(x ** p[1]) / p[2])) - y,
        start,
        bounds=((1e-6, 1e-2, 1e-3), (1.0, 5.0, 1e3)),
        max_nfev=2000,
    )
    return EarlyLearningFit(*(float(p) for p in found.x)) if found.success else None


def early_learning_over(iou: Sequence[float], fall: float = 0.9) -> bool:
    """True when the slope has fallen by more than `fall` of its first value: (f'(1) − f'(t)) / f'(1) > `fall`.

    t is the last epoch. Deviations: the published rule takes the absolute difference, and so also fires when the
    slope has *risen*, on the S-shaped curve of a network that starts from scratch. A curve that is flat from its
    first epoch to its last (slope under 0.001 an epoch: the pair came trained) has no early learning left and
    counts as over, where the published ratio is 0/0; but not below an IoU of 0.05, where nothing was learnt.

    Args:
        iou: as `fit_early_learning`; under three epochs nothing is ever over.
        fall: r, in 0..1.

    >>> early_learning_over([0.30, 0.55, 0.68, 0.69, 0.70, 0.70])
    True
    >>> early_learning_over([0.10, 0.20, 0.30])
    False
    """
    fit = fit_early_learning(iou)
    if fit is None:
        return False
    first, last = (float(s) for s in fit.slope([1.0, float(len(iou))]))
    if first < _FLAT:
        return last < _FLAT and float(np.nanmax(iou)) >= _NOTHING_LEARNT
    return (first - last) / first > fall


def paper_trigger(iou: Sequence[float], bound: float = 0.05) -> bool:
    """The rule of the published S1 code, |f''(t)| < 0.05, kept for the preset `paper`.

    It fires at its first allowed epoch for nearly every curve, so it is a constant in disguise.
    """
    fit = fit_early_learning(iou)
    return fit is not None and abs(float(fit.curvature(float(len(iou))))) < bound
