"""The quick instrument: how well each score points at the images that the model gets wrong."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from scipy import stats

__all__ = ["judge_scores"]


def judge_scores(
    scores: Mapping[str, Mapping[str, float]], errors: Mapping[str, float], batch: int, queried: Sequence[str]
) -> dict[str, Any]:
    """Compare every score with the true error over the unlabelled pool, whatever strategy queries.

    Args:
        scores: score by image id, by name; higher is asked for first.
        errors: true error by image id, 1 − Dice of the teacher with the truth.
        batch: size of a query.
        queried: what the strategy asked for.

    Returns:
        `pool_images`, `pool_error` (mean), `queried_error` (mean over what was asked for), and `scores`: by name
        `spearman` (rank correlation with the error; None for a constant or for fewer than three images) and
        `top_error` (mean error of the `batch` highest; ties by id). Means of nothing are None.

    >>> errors = {"a": 0.1, "b": 0.2, "c": 0.6}
    >>> found = judge_scores({"pld": {"a": 1.0, "b": 2.0, "c": 3.0}}, errors, 1, ["a"])
    >>> round(found["scores"]["pld"]["spearman"], 6), found["scores"]["pld"]["top_error"], found["queried_error"]
    (1.0, 0.6, 0.1)
    """
    return {
        "pool_images": len(errors),
        "pool_error": _mean(list(errors.values())),
        "queried_error": _mean([errors[image] for image in queried if image in errors]),
        "scores": {name: _judge(by_image, errors, batch) for name, by_image in sorted(scores.items())},
    }


def _judge(scores: Mapping[str, float], errors: Mapping[str, float], batch: int) -> dict[str, float | None]:
    images = sorted(image for image in errors if math.isfinite(scores.get(image, math.nan)))
    values, wrong = [scores[image] for image in images], [errors[image] for image in images]
    rank = None
    if len(images) >= 3 and np.ptp(values) > 0 and np.ptp(wrong) > 0:
        rank = float(stats.spearmanr(values, wrong).statistic)
    top = sorted(images, key=lambda image: (-scores[image], image))[:batch]
    return {"spearman": rank, "top_error": _mean([errors[image] for image in top])}


def _mean(values: list[float]) -> float | None:
    return float(np.mean(values)) if values else None
