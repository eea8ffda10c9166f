"""How far the masks of a study can be trusted: what was predicted of them beside what the experts' labels found."""

from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any, Final

import numpy as np

from sequal.acquisition import Pool
from sequal.anatomy.measurement import bland_altman
from sequal.prediction import PREDICTED_DICE
from sequal.study.good_enough import FEWEST, GOOD_DICE, Judged, estimate_good
from sequal.study.state import LabelCheck, StudyState

__all__ = ["snapshot", "study_trust", "trust_words"]

#: The newest checks count; older ones say little about the model in service.
_MOST: Final = 300


def snapshot(pool: Pool) -> Pool:
    """What `study_trust` needs of a pool that others change: taken under its lock, they do not wait for the rest."""
    predicted = dict(pool.scores(PREDICTED_DICE))
    return replace(
        pool,
        unlabelled=tuple(pool.unlabelled),
        labelled=tuple(pool.labelled),
        patients=dict(pool.patients),
        scores=lambda _: predicted,
        kept=None,
    )


def study_trust(state: StudyState, digest: str | None, pool: Pool, seed: int = 0) -> dict[str, Any]:
    """What the labels of a study found out about the masks of its models, as plain JSON.

    Args:
        state: of the study.
        digest: of the model in service; None: there is none.
        pool: the images, with scores of that model; checks by labels that were removed since do not count.
        seed: of the draws.

    Returns:
        `threshold`: Dice over which a mask is good. `checked`: number of labels that judged a mask. `dice`,
        `predicted_dice`, `error` (mean absolute difference of the two): means over them, None without any. `thickness`:
        Bland-Altman analysis of predicted minus drawn in mm, None for fewer than two or what is no layer. `good`:
        `images`, `expected`, `low` and `high`, how many unlabelled images have a good mask (95 % interval); None where
        that cannot be said, with the reason in `why_not`. `checks`: the newest ones, each with `patient` and `age`, the
        number of models in service since.

    Raises:
        StudyError: the ledger cannot be read.
    """
    labelled = set(pool.labelled)
    checks = [one for one in state.ledger.checks() if one.image in labelled][-_MOST:]
    ages = _ages(checks, digest)
    judged = [
        Judged(one.predicted_dice, one.dice, pool.patients.get(one.image, one.image), ages[one.checkpoint_digest])
        for one in checks
        if one.predicted_dice is not None
    ]
    unlabelled = set(pool.unlabelled)
    predicted = {
        image: (value, pool.patients.get(image, image))
        for image, value in pool.scores(PREDICTED_DICE).items()
        if image in unlabelled and np.isfinite(value)
    }
    good = estimate_good(judged, predicted, np.random.default_rng([seed, len(judged)]))
    sizes = [(s["predicted"], s["drawn"]) for one in checks for s in one.sizes if s["unit"] == "mm"]
    measured = [(ours, theirs) for ours, theirs in sizes if ours is not None and theirs is not None]
    return {
        "threshold": GOOD_DICE,
        "checked": len(checks),
        "dice": _mean([one.dice for one in checks]),
        "predicted_dice": _mean([one.predicted for one in judged]),
        "error": _mean([abs(one.predicted - one.dice) for one in judged]),
        "thickness": asdict(bland_altman(*zip(*measured, strict=True))) if len(measured) > 1 else None,
        "unlabelled": len(unlabelled),
        "good": None if good is None else asdict(good),
        "why_not": _why_not(len(judged), len(unlabelled), len(predicted)),
        "checks": [
            {**asdict(one), "patient": pool.patients.get(one.image, one.image), "age": ages[one.checkpoint_digest]}
            for one in checks
        ],
    }


def trust_words(trust: Mapping[str, Any]) -> list[str]:
    """What `study_trust` found, in sentences.

    >>> trust_words({})
    []
    """
    if not trust:
        return []
    good, threshold = trust["good"], trust["threshold"]
    if good is None:
        said = [f"How many masks are good cannot be said yet: {trust['why_not']}."]
    else:
        whole = "" if good["images"] == trust["unlabelled"] else f" {good['images']} have been scored; of these"
        said = [
            f"Of the {trust['unlabelled']} images still unlabelled,{whole} {good['expected']} are expected to have a "
            f"mask with a Dice over {threshold} (95 % interval {good['low']} to {good['high']})."
        ]
    if trust["checked"]:
        said.append(
            f"{trust['checked']} labels were compared with the mask of a model that had not learned them: mean Dice "
            f"{trust['dice']:.3f}"
            + (f", {trust['predicted_dice']:.3f} was expected." if trust["predicted_dice"] is not None else ".")
        )
    if trust["thickness"] is not None:
        found = trust["thickness"]
        said.append(
            f"Thickness of the mask minus that of the label: {found['bias']:+.3f} mm, limits of agreement "
            f"{found['limits'][0]:+.3f} to {found['limits'][1]:+.3f} mm."
        )
    return said


def _ages(checks: list[LabelCheck], digest: str | None) -> dict[str, int]:
    """Models in service since, by the digest of each model that was judged."""
    newest_first = list(dict.fromkeys(one.checkpoint_digest for one in reversed(checks)))
    since = [one for one in newest_first if one != digest]
    ages = {one: age for age, one in enumerate(since, start=1 if digest is not None else 0)}
    return ages | ({digest: 0} if digest is not None else {})


def _why_not(judged: int, unlabelled: int, predicted: int) -> str:
    if not unlabelled:
        return "no image is unlabelled"
    if judged < FEWEST:
        return f"{judged} labels could be compared with a mask, and {FEWEST} are needed"
    return "" if predicted else "the model in service has not scored the unlabelled images yet"


def _mean(values: list[float]) -> float | None:
    return float(np.mean(values)) if values else None
