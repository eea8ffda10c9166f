"""Every figure at each number of labels, with intervals over seeds and paired differences."""

import math
from typing import Any, Final

from sequal.experiments.results import Round
from sequal.experiments.statistics import Estimate, labels_to, t_interval
from sequal.experiments.variants import Variant

__all__ = [
    "FIGURES",
    "GOOD_SHARE",
    "area_difference",
    "compare",
    "figure_curves",
    "labels_to_good",
    "ratio_of_labels",
]

#: Figures of the judged frames that a report follows from round to round.
FIGURES: Final = (
    "dice",
    "good",
    "imt_bias",
    "imt_error",
    "li_bias",
    "li_error",
    "ma_bias",
    "ma_error",
    "hd95",
    "asd",
    "volume_bias",
    "volume_error",
    "failures",
    "false_masks",
)
#: Part of the judged frames that is to have a Dice over 0.8.
GOOD_SHARE: Final = 0.95
#: A round whose Dice is lower by more than this has made a seed worse.
_WORSE: Final = 0.005


def figure_curves(variant: Variant) -> list[dict[str, Any]]:
    """Mean over seeds and its 95 % interval of every figure, by round.

    Returns:
        A row a round: `labels` (mean over seeds, which differ where the last round has the whole pool of another
        split), by figure `mean`, `low`, `high`; `frames`, how many judged, mean over seeds; `worse`, how many seeds
        have a Dice lower by more than 0.005 than before any label (None where that was not judged).
    """
    rows = []
    for place in range(len(variant.labels)):
        rounds = [rounds[place] for rounds in variant.by_seed.values()]
        row: dict[str, Any] = {"labels": sum(len(entry["labelled"]) for entry in rounds) / len(rounds)}
        for name in FIGURES:
            values = [value for entry in rounds if (value := _value(entry, name)) is not None]
            row[name] = t_interval(values) if values else None
        frames = [value for entry in rounds if (value := _value(entry, "frames")) is not None]
        rows.append({**row, "frames": sum(frames) / len(rounds), "worse": _worse(variant, place)})
    return rows


def compare(variant: Variant, other: Variant, name: str) -> list[Estimate]:
    """A figure of a variant minus that of another, paired by seed, by round: mean and 95 % interval (Student's t)."""
    found: list[Estimate] = []
    for place in range(min(len(variant.labels), len(other.labels))):
        pairs = [
            (_value(variant.by_seed[seed][place], name), _value(other.by_seed[seed][place], name))
            for seed in _shared(variant, other)
        ]
        differences = [ours - theirs for ours, theirs in pairs if ours is not None and theirs is not None]
        found.append(t_interval(differences) if differences else {"mean": None, "low": None, "high": None})
    return found


def area_difference(variant: Variant, other: Variant) -> Estimate | None:
    """Area under the learning curve minus the other's, paired by seed: mean and 95 % interval (Student's t)."""
    seeds = _shared(variant, other)
    return t_interval([variant.area(seed) - other.area(seed) for seed in seeds]) if seeds else None


def labels_to_good(variant: Variant) -> dict[int, float | None]:
    """Labels until 95 % of the judged frames have a Dice over 0.8, by seed, interpolated; None: never reached."""
    found: dict[int, float | None] = {}
    for seed, rounds in variant.by_seed.items():
        shares = [_value(entry, "good") for entry in rounds]
        known = [0.0 if share is None else share for share in shares]
        found[seed] = labels_to([len(entry["labelled"]) for entry in rounds], known, GOOD_SHARE)
    return found


def ratio_of_labels(variant: Variant, baseline: Variant) -> dict[str, Any] | None:
    """How many labels a variant needs until 95 % of the frames are good, divided by those of the baseline.

    Returns:
        Geometric `mean` of the ratios of the seeds, with its 95 % interval (Student's t of the logarithms), `seeds`,
        and `bounded`, in how many of them one of the two never came there. There the labels of its last round stand
        for it, so that the ratio is too near to 1 and not too far from it. Seeds in which neither came there, and those
        that began there, are left out; None without any other.
    """
    ours, theirs = labels_to_good(variant), labels_to_good(baseline)
    logs, bounded = [], 0
    for seed in _shared(variant, baseline):
        pair = [ours[seed], theirs[seed]]
        if pair == [None, None] or 0.0 in pair:
            continue
        bounded += None in pair
        last = [float(len(one.by_seed[seed][-1]["labelled"])) for one in (variant, baseline)]
        needed, usual = (end if labels is None else labels for labels, end in zip(pair, last, strict=True))
        logs.append(math.log(needed / usual))
    if not logs:
        return None
    estimate = {name: None if value is None else math.exp(value) for name, value in t_interval(logs).items()}
    return {**estimate, "seeds": len(logs), "bounded": bounded}


def _value(entry: Round, name: str) -> float | None:
    value = entry["test"]["mean"].get(name)  # rounds of older versions lack some
    return None if value is None else float(value)


def _worse(variant: Variant, place: int) -> int | None:
    firsts = [rounds[0] for rounds in variant.by_seed.values()]
    if any(entry["labelled"] for entry in firsts):
        return None
    pairs = [(_value(rounds[place], "dice"), _value(rounds[0], "dice")) for rounds in variant.by_seed.values()]
    return sum(now is not None and before is not None and now < before - _WORSE for now, before in pairs)


def _shared(variant: Variant, other: Variant) -> list[int]:
    return sorted(variant.by_seed.keys() & other.by_seed.keys())
