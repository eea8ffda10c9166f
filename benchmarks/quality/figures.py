"""From what scores say of masks to figures with intervals, and to tables."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sequal.experiments.failure_detection import (
    FAILURE,
    aurc,
    e_aurc,
    failures_first,
    mean_absolute_error,
    pearson,
    spearman,
)

#: From which on a map says that there is an error; of each map the best one on the first set is taken for all.
THRESHOLDS = (0.5, 0.4, 0.3, 0.2, 0.1)
RESAMPLES = 200
#: Scores that are meant as a Dice.
A_DICE = ("told", "predicted_dice", "confidence", "expected_dice", "dropout_dice", "pair_dice")
MEASURES = ("aurc", "e_aurc", "spearman", "pearson", "mae", "failures_first")

#: What was found of each image of a set (`looking.look`), or of each of them by the networks of one seed.
Records = Sequence[dict[str, Any]]


class Seen(NamedTuple):
    """Images that networks saw: their Dice, places by patient, and one score by several branches."""

    dice: NDArray[np.float64]
    by_patient: list[list[int]]
    qualities: list[NDArray[np.float64]]


def figures(sets: Mapping[str, Sequence[Records]]) -> dict[str, Any]:
    """Every figure of every set; a set is the records of the networks of each seed.

    Where one pair of networks has several branches, these are the seeds, and there is one list of records.
    """
    results: dict[str, Any] = {}
    best: dict[str, int] = {}
    for name, seeds in sets.items():
        frames = [frame for records in seeds for frame in records]
        dice = np.array([frame["dice"] for frame in frames])
        names = dict.fromkeys(_plain(score) for score in frames[0]["scores"])
        maps = {}
        for kind in dict.fromkeys(_plain(one) for one in frames[0]["maps"]):
            means = np.array([_map_dice(records, one) for records in seeds for one in _of(records[0]["maps"], kind)])
            at = best.setdefault(kind, int(means.mean(axis=0).argmax()))
            maps[kind] = {"threshold": THRESHOLDS[at], "dice": means[:, at].mean(), "by_seed": means[:, at].tolist()}
        results[name] = {
            "frames": len(frames),
            "mean_dice": float(dice.mean()),
            "by_seed": [float(np.mean([frame["dice"] for frame in records])) for records in seeds],
            "failures": int((dice < FAILURE).sum()),
            "scores": {score: judge([_seen(records, score) for records in seeds], score) for score in names},
            "error_map": maps,
        }
    return results


def judge(seeds: Sequence[Seen], score: str) -> dict[str, Any]:
    """Each figure, mean over seeds, with the 95 % bootstrap interval over seeds, branches and patients."""
    measures: dict[str, Callable[..., float]] = {
        "aurc": aurc,
        "e_aurc": e_aurc,
        "pearson": pearson,
        "spearman": spearman,
        "failures_first": failures_first,
    }
    if score in A_DICE:
        measures["mae"] = mean_absolute_error
    rng = np.random.default_rng(0)
    draws = [_draw(seeds, rng) for _ in range(RESAMPLES)]
    found = {}
    for key, measure in measures.items():
        by_seed = [measure(one.dice, quality) for one in seeds for quality in one.qualities]
        values = [np.mean([measure(*pair) for pair in draw]) for draw in draws]
        low, high = np.nanpercentile(values, [2.5, 97.5])
        found[key] = {"value": float(np.mean(by_seed)), "low": float(low), "high": float(high), "by_seed": by_seed}
    return found


def _draw(seeds: Sequence[Seen], rng: np.random.Generator) -> list[tuple[NDArray[np.float64], NDArray[np.float64]]]:
    """Seeds with replacement, of each its patients and its branches with replacement: Dice and score."""
    drawn = []
    for place in rng.integers(len(seeds), size=len(seeds)):
        one = seeds[place]
        chosen = rng.integers(len(one.by_patient), size=len(one.by_patient))
        images = np.concatenate([one.by_patient[patient] for patient in chosen])
        branches = rng.integers(len(one.qualities), size=len(one.qualities))
        drawn += [(one.dice[images], one.qualities[branch][images]) for branch in branches]
    return drawn


def tables(results: Mapping[str, Any]) -> str:
    """A table of scores for each set, in Markdown."""
    lines = []
    for name, found in results.items():
        lines += [
            f"\n{name}: {found['frames']} images, mean Dice {found['mean_dice']:.3f}, {found['failures']} failures; "
            + "; ".join(
                f"map of {kind} {one['dice']:.3f} (from {one['threshold']})" for kind, one in found["error_map"].items()
            ),
            "",
            "| score | " + " | ".join(MEASURES) + " |",
            "| --- |" + " --- |" * len(MEASURES),
        ]
        for score, row in sorted(found["scores"].items(), key=lambda entry: entry[1]["aurc"]["value"]):
            cells = [
                "–" if key not in row else "{value:.3f} ({low:.3f} to {high:.3f})".format(**row[key])
                for key in MEASURES
            ]
            lines.append(f"| `{score}` | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _seen(records: Records, score: str) -> Seen:
    patients = dict.fromkeys(record["patient"] for record in records)
    return Seen(
        np.array([record["dice"] for record in records]),
        [[i for i, record in enumerate(records) if record["patient"] == patient] for patient in patients],
        [np.array([record["scores"][one] for record in records]) for one in _of(records[0]["scores"], score)],
    )


def _plain(name: str) -> str:
    """The name without the number of a branch."""
    return name.split(" ")[0]


def _of(names: Iterable[str], plain: str) -> list[str]:
    return [name for name in names if _plain(name) == plain]


def _map_dice(records: Records, name: str) -> list[float]:
    """Mean Dice of a map at each threshold, of images that have errors or a map that claims some."""
    found = []
    for threshold in range(len(THRESHOLDS)):
        values = [value for record in records if (value := record["maps"][name][threshold]) is not None]
        found.append(float(np.mean(values)) if values else math.nan)
    return found
