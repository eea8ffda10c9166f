"""From the finished rounds of all cells to the figures of each strategy."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from sequal.anatomy.measurement import bland_altman
from sequal.experiments.curves import area_difference, compare, figure_curves, labels_to_good, ratio_of_labels
from sequal.experiments.overlap import mean_or_none
from sequal.experiments.plan import DEFAULT, FULL, Cell, Plan
from sequal.experiments.results import Round
from sequal.experiments.statistics import Estimate, labels_to, paired_bootstrap, t_interval
from sequal.experiments.variants import Variant

__all__ = ["TARGETS", "full_dice", "summarise", "thickness_pairs"]

#: Parts of the full-label Dice, in per cent.
TARGETS: Final = (90, 95, 98)
_BASELINE: Final = "random"
_COMPARED: Final = ("dice", "imt_bias", "imt_error", "failures")


def full_dice(plan: Plan, cells: Mapping[Cell, Sequence[Round]]) -> float | None:
    """Mean test Dice over seeds of the cells that were trained on every label; None without a finished one."""
    return mean_or_none(
        [
            rounds[-1]["test"]["mean"]["dice"]
            for cell, rounds in cells.items()
            if cell.strategy == FULL and len(rounds) == len(plan.round_numbers)
        ]
    )


def summarise(variants: Sequence[Variant], full: float | None) -> dict[str, Any]:
    """`summary.json`: the figures of each variant by its name.

    Differences to random are paired by seed, with the same refinement; None where random was not played.
    `refinement` is the mean Dice with the truth of the labels that were refined by the last round, before and after,
    on the pixels that the expert annotated; None where none was. `figures` follows every figure from round to round;
    `against_random` and `against_default` (the settings without a variant's own) are paired by seed.
    """
    by_key = {(v.strategy, v.refinement, v.settings): v for v in variants}
    return {
        v.name: {
            **_figures(v, by_key.get((_BASELINE, v.refinement, v.settings)), full),
            "figures": figure_curves(v),
            "labels_to_good": labels_to_good(v),
            "against_random": _against(v, by_key.get((_BASELINE, v.refinement, v.settings))),
            "against_default": _against(v, by_key.get((v.strategy, v.refinement, DEFAULT))),
        }
        for v in variants
    }


def thickness_pairs(variant: Variant) -> tuple[list[float], list[float], str]:
    """Predicted and true thickness of every test image after the last round, all seeds, and their unit."""
    records = [record for rounds in variant.by_seed.values() for record in rounds[-1]["test"]["images"]]
    units = [record["unit"] for record in records]
    unit = "mm" if units.count("mm") >= units.count("px") else "px"
    measured = [(r.get("imt_predicted"), r.get("imt_true")) for r in records if r["unit"] == unit]
    pairs = [(predicted, true) for predicted, true in measured if predicted is not None and true is not None]
    return [predicted for predicted, _ in pairs], [true for _, true in pairs], unit


def _figures(variant: Variant, baseline: Variant | None, full: float | None) -> dict[str, Any]:
    seeds = sorted(variant.by_seed)
    curve = [t_interval(values) for values in zip(*(variant.dice(seed) for seed in seeds), strict=True)]
    means = [float(point["mean"] or 0.0) for point in curve]
    return {
        "strategy": variant.strategy,
        "refined": variant.refinement,
        "seeds": seeds,
        "auc": float(sum(variant.area(seed) for seed in seeds) / len(seeds)),
        "auc_interval": t_interval([variant.area(seed) for seed in seeds]),
        "auc_minus_random": _area_difference(variant, baseline),
        "dice_minus_random": _dice_differences(variant, baseline),
        "full_dice": full,
        **{
            f"labels_to_{part}": None if full is None else labels_to(variant.labels, means, full * part / 100)
            for part in TARGETS
        },
        "final_dice": means[-1],
        "final": {
            **{name: mean_or_none(variant.final("test", "mean", name)) for name in ("iou", "hd95", "asd")},
            "unit": next(iter(variant.by_seed.values()))[-1]["test"]["mean"]["unit"],
            **{
                name: sum(variant.final("test", "mean", name)) / len(seeds)
                for name in ("empty", "false_masks", "without_layer")
            },
        },
        "by_kind": _by_kind(variant),
        "imt": _thickness(variant),
        "refinement": {
            "before": mean_or_none(variant.final("labels", "before")),
            "after": mean_or_none(variant.final("labels", "after")),
        },
        "refinement_whole_frame": {
            "before": mean_or_none(variant.final("labels", "before_whole")),
            "after": mean_or_none(variant.final("labels", "after_whole")),
        },
        "seconds_per_round": mean_or_none(
            [sum(entry["seconds"].values()) for rounds in variant.by_seed.values() for entry in rounds]
        ),
        "curve": [{"labels": labels, **point} for labels, point in zip(variant.labels, curve, strict=True)],
    }


def _against(variant: Variant, other: Variant | None) -> dict[str, Any] | None:
    """Differences to another variant, paired by seed; None where it was not played, or is this one."""
    if not _shared(variant, other) or other is None:
        return None
    return {
        "area": area_difference(variant, other),
        "labels_to_good": ratio_of_labels(variant, other),
        **{name: compare(variant, other, name) for name in _COMPARED},
    }


def _area_difference(variant: Variant, baseline: Variant | None) -> Estimate | None:
    seeds = _shared(variant, baseline)
    if baseline is None or not seeds:
        return None
    return paired_bootstrap([variant.area(seed) - baseline.area(seed) for seed in seeds])


def _dice_differences(variant: Variant, baseline: Variant | None) -> list[dict[str, Any]] | None:
    seeds = _shared(variant, baseline)
    if baseline is None or not seeds:
        return None
    ours, theirs = ([one.dice(seed) for seed in seeds] for one in (variant, baseline))
    return [
        {"labels": labels, **paired_bootstrap([a[place] - b[place] for a, b in zip(ours, theirs, strict=True)])}
        for place, labels in enumerate(variant.labels)
    ]


def _shared(variant: Variant, baseline: Variant | None) -> list[int]:
    if baseline is None or baseline is variant:
        return []
    return sorted(variant.by_seed.keys() & baseline.by_seed.keys())


def _by_kind(variant: Variant) -> dict[str, float]:
    """Mean test Dice after the last round of the frames of each kind that show the layer, by kind."""
    found: dict[str, list[float]] = {}
    for rounds in variant.by_seed.values():
        for record in rounds[-1]["test"]["images"]:
            for kind in filter(None, record["kind"].split(", ") if record["layer"] else ()):
                found.setdefault(kind, []).append(record["dice"])
    return {kind: sum(values) / len(values) for kind, values in sorted(found.items())}


def _thickness(variant: Variant) -> dict[str, Any] | None:
    predicted, true, unit = thickness_pairs(variant)
    if len(predicted) < 2:
        return None
    found = bland_altman(predicted, true)
    return {
        "pairs": found.pairs,
        "bias": found.bias,
        "low": found.limits[0],
        "high": found.limits[1],
        "mean_absolute_error": found.mean_absolute_error,
        "unit": unit,
    }
