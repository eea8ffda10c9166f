"""How many of the frames that nobody has labelled have a mask that is good enough: when a study may stop labelling."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.polynomial.hermite_e import hermegauss
from numpy.typing import NDArray
from scipy import stats

__all__ = ["FEWEST", "GOOD_DICE", "Estimate", "Judged", "estimate_good"]

#: Dice from which on a mask is good: two readers of one carotid frame agree with 0.89 on average (Loizou et al.).
GOOD_DICE: Final = 0.85
#: Judged masks without which nothing is said.
FEWEST: Final = 5
#: Masks of an earlier model say less about the one in service.
_KEPT: Final = 0.5
#: The interval is nominally a little wider than 95 %, since the curve of chances is a model, and models are wrong.
_COVERAGE: Final = 0.98
_DRAWS: Final = 600
#: Images of the pool that are drawn from a larger one.
_MOST: Final = 4000
_EDGE: Final = 0.01

_INTERCEPTS: Final = np.linspace(-8.0, 8.0, 41)
_SLOPES: Final = np.array([0.0, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 9.0, 14.0])
_SPREADS: Final = np.array([0.0, 0.5, 1.0, 2.0, 3.0, 4.5])
_NODES: Final = 9

Numbers = NDArray[np.float64]


@dataclass(frozen=True)
class Judged:
    """One automatic mask that an expert's label judged before the model had learnt from it.

    Attributes:
        predicted: the Dice that was expected, 0..1.
        dice: that was found, 0..1.
        patient: whose image it is.
        age: models that were in service since; 0: made by the one that is.
    """

    predicted: float
    dice: float
    patient: str
    age: int = 0


@dataclass(frozen=True)
class Estimate:
    """How many unlabelled images have a good mask.

    Attributes:
        images: in the pool.
        expected: how many of them are expected to have a Dice over the threshold.
        low: at least so many, by a 95 % interval.
        high: at most so many.
    """

    images: int
    expected: int
    low: int
    high: int


def estimate_good(
    judged: Sequence[Judged],
    pool: Mapping[str, tuple[float, str]],
    rng: np.random.Generator,
    threshold: float = GOOD_DICE,
) -> Estimate | None:
    """How many images of the pool have a mask over the threshold, from those that labels judged.

    The chance that a mask is good is a logistic curve of the logit of its predicted Dice, with a random intercept for
    each patient: images of one patient are good or bad together. Intercept, slope and the spread of the patients have
    weak priors, so that few labels give a wide interval rather than a sure one. Their posterior is summed over a grid,
    with a Gauss-Hermite sum over each patient's intercept. Then the number of good masks is drawn from it, patients
    and images included, and the interval holds the middle of the draws.

    The labelled images were chosen by a strategy and are no random sample of the pool. That does no harm as far as they
    were chosen by what the prediction knows: the curve is the same for any choice of predicted Dice. Where the strategy
    finds frames that are worse than they look, the estimate is too low, which is the safe side.

    Args:
        judged: in any order; one of an earlier model counts half for each model since.
        pool: predicted Dice 0..1 and patient of each unlabelled image, by id.
        rng: of the draws.
        threshold: Dice over which a mask is good.

    Returns:
        The estimate; None with fewer than five judged masks or without a pool.
    """
    if len(judged) < FEWEST or not pool:
        return None
    x0 = _logit(np.array([threshold]))[0]
    x = _logit(np.array([one.predicted for one in judged])) - x0
    good = np.array([one.dice > threshold for one in judged])
    weight = _KEPT ** np.array([one.age for one in judged], dtype=np.float64)
    posterior = _posterior(x, good, weight, _numbered([one.patient for one in judged]))
    ids = sorted(pool)
    drawn = ids if len(ids) <= _MOST else sorted(rng.choice(ids, _MOST, replace=False))
    at = _logit(np.array([pool[image][0] for image in drawn])) - x0
    patients = _numbered([pool[image][1] for image in drawn])
    counts = _draw_counts(posterior, at, patients, rng) * len(ids) / len(drawn)
    tail = (1.0 - _COVERAGE) / 2.0
    low, high = np.quantile(counts, (tail, 1.0 - tail))
    return Estimate(len(ids), round(float(counts.mean())), math.floor(low), math.ceil(high))


def _posterior(x: Numbers, good: NDArray[np.bool_], weight: Numbers, patients: NDArray[np.intp]) -> Numbers:
    """Probability of each (intercept, slope, spread), float64 of that shape."""
    nodes, shares = hermegauss(_NODES)  # type: ignore[no-untyped-call]
    log_shares = np.log(shares / shares.sum())
    line = _INTERCEPTS[:, None, None] + _SLOPES[None, :, None] * x  # (A, B, n)
    log_p = np.empty((len(_INTERCEPTS), len(_SLOPES), len(_SPREADS)))
    sign = np.where(good, 1.0, -1.0)
    for index, spread in enumerate(_SPREADS):
        terms = [  # log-likelihood of each patient's images at each node, (nodes, A, B, patients)
            _by_patient(-np.logaddexp(0.0, -sign * (line + spread * node)) * weight, patients) for node in nodes
        ]
        of_patients = np.logaddexp.reduce([term + share for term, share in zip(terms, log_shares, strict=True)], axis=0)
        log_p[:, :, index] = of_patients.sum(axis=-1)
    log_p += stats.norm.logpdf(_INTERCEPTS, 0.0, 2.5)[:, None, None]
    log_p += np.log(np.gradient(_SLOPES) * stats.gamma.pdf(_SLOPES + 0.1, 1.2, scale=3.0))[None, :, None]
    log_p += (np.log(np.gradient(_SPREADS)) + stats.norm.logpdf(_SPREADS, 0.0, 2.0))[None, None, :]
    found: Numbers = np.exp(log_p - log_p.max())
    return found / found.sum()


def _draw_counts(posterior: Numbers, x: Numbers, patients: NDArray[np.intp], rng: np.random.Generator) -> Numbers:
    """Numbers of good masks, float64 (draws,)."""
    cells = rng.choice(posterior.size, size=_DRAWS, p=posterior.ravel())
    a, b, spread = np.unravel_index(cells, posterior.shape)
    counts = np.empty(_DRAWS)
    for draw in range(_DRAWS):
        moved = _SPREADS[spread[draw]] * rng.standard_normal(patients.max() + 1)
        chance = 1.0 / (1.0 + np.exp(-(_INTERCEPTS[a[draw]] + _SLOPES[b[draw]] * x + moved[patients])))
        counts[draw] = np.count_nonzero(rng.random(len(x)) < chance)
    return counts


def _by_patient(values: Numbers, patients: NDArray[np.intp]) -> Numbers:
    """Sums over the images of each patient along the last axis."""
    order = np.argsort(patients, kind="stable")
    starts = np.flatnonzero(np.diff(patients[order], prepend=-1))
    sums: Numbers = np.add.reduceat(values[..., order], starts, axis=-1)
    return sums


def _numbered(names: Sequence[str]) -> NDArray[np.intp]:
    return np.unique(np.asarray(names), return_inverse=True)[1]


def _logit(p: Numbers) -> Numbers:
    inside = np.clip(p, _EDGE, 1.0 - _EDGE)
    return np.log(inside / (1.0 - inside))
