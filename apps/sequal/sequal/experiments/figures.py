"""The figures of a report, as PNG."""

from collections.abc import Mapping, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any, Final

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from PIL import Image

from sequal.anatomy.measurement import bland_altman
from sequal.experiments.reliability import reliability
from sequal.experiments.results import Round
from sequal.experiments.summary import thickness_pairs
from sequal.experiments.variants import Variant

__all__ = ["draw_figures"]

Axes = Any  # matplotlib comes without types
_DPI: Final = 110
_SHOWN: Final = 6
_COLUMNS: Final = 3
_COLOURS: Final = 10
#: Part of the distance between two budgets that the bars of all strategies take.
_SPREAD: Final = 0.5


def draw_figures(
    variants: Sequence[Variant],
    summary: Mapping[str, Any],
    cells: Sequence[Sequence[Round]],
    thumbnails: Path,
) -> dict[str, bytes]:
    """PNG by file name; a figure without data is left out.

    Args:
        variants: with at least one finished cell each.
        summary: as `summarise` gives it.
        cells: rounds of every cell of the variants, for the instrument.
        thumbnails: folder with a PNG by image id; may be missing.
    """
    full = next(iter(summary.values()))["full_dice"]
    drawn = {
        "learning_curves.png": _learning_curves(summary, full),
        "difference_to_random.png": _differences(summary),
        "refinement.png": _refinement(variants),
        "instrument.png": _instrument(cells),
        "reliability.png": _reliability(cells),
        "bland_altman.png": _bland_altman(variants),
    }
    found = {name: _png(figure) for name, figure in drawn.items() if figure is not None}
    frames = _frames(variants, thumbnails)
    return found if frames is None else {**found, "frames.png": _grey(_png(frames))}


def _learning_curves(summary: Mapping[str, Any], full: float | None) -> Figure:
    figure, axes = _single("labelled images", "Dice on test images")
    _curves(axes, {name: figures["curve"] for name, figures in summary.items()})
    if full is not None:
        axes.axhline(full, color="black", linestyle=":", label="every label")
    axes.legend(fontsize=8)
    return figure


def _differences(summary: Mapping[str, Any]) -> Figure | None:
    shown = {name: figures["dice_minus_random"] for name, figures in summary.items() if figures["dice_minus_random"]}
    if not shown:
        return None
    figure, axes = _single("labelled images", "Dice minus random, paired by seed")
    _curves(axes, shown)
    axes.axhline(0.0, color="black", linewidth=0.8)
    axes.legend(fontsize=8)
    return figure


def _curves(axes: Axes, curves: Mapping[str, Sequence[Mapping[str, Any]]]) -> None:
    """Curves with their intervals as bars, side by side: filled bands of many strategies hide each other."""
    labels = [point["labels"] for point in next(iter(curves.values()))]
    apart = _SPREAD * float(np.diff(labels).min()) / len(curves) if len(labels) > 1 else 0.0
    for index, (name, points) in enumerate(curves.items()):
        x = np.add(labels, apart * (index - (len(curves) - 1) / 2))
        means, low, high = (np.array([point[key] for point in points]) for key in ("mean", "low", "high"))
        one_seed = any(point["low"] is None for point in points)
        bars = None if one_seed else np.maximum([means - low, high - means], 0.0)  # rounding may end below the mean
        style = {"marker": "o", "markersize": 3, "linestyle": _line_style(index), "elinewidth": 0.8, "capsize": 1.5}
        axes.errorbar(x, means, yerr=bars, linewidth=1.2, label=name, **style)
    axes.set_xticks(labels)


def _line_style(index: int) -> str:
    """Matplotlib has ten colours: from the eleventh line on they come again, dashed."""
    return "-" if index < _COLOURS else "--"


def _refinement(variants: Sequence[Variant]) -> Figure | None:
    refined = [variant for variant in variants if variant.refinement == "on"]
    keys = (
        ("before", "expert"),
        ("after", "refined"),
        ("before_whole", "expert, whole"),
        ("after_whole", "refined, whole"),
    )
    means = {label: [_mean(variant.final("labels", key)) for variant in refined] for key, label in keys}
    if not refined or np.isnan(list(means.values())).all():
        return None
    figure, axes = _single("", "Dice of labels with the truth")
    place = np.arange(len(refined))
    for offset, (label, values) in enumerate(means.items()):
        axes.bar(place + 0.2 * (offset - 1.5), values, 0.2, label=label)
    axes.set_xticks(place, [variant.name for variant in refined], rotation=30, ha="right", fontsize=8)
    axes.set_ylim(0, 1)
    axes.legend(fontsize=8, ncols=len(means), loc="lower center", bbox_to_anchor=(0.5, 1.0))
    return figure


def _instrument(cells: Sequence[Sequence[Round]]) -> Figure | None:
    judged = [entry for rounds in cells for entry in rounds if entry["instrument"]["scores"]]
    if not judged:
        return None
    names = sorted({name for entry in judged for name in entry["instrument"]["scores"]})
    numbers = sorted({entry["round"] for entry in judged})
    figure = Figure(figsize=(12, 4.6), dpi=_DPI, layout="constrained")
    left, right = figure.subplots(1, 2)
    _label(left, "round", "rank correlation with the true error")
    _label(right, "round", "error of the top batch minus the pool's")

    for index, name in enumerate(names):
        style = {"marker": "o", "markersize": 3, "linestyle": _line_style(index), "label": name}
        for axes, value in ((left, _rank), (right, _gain)):
            by_round = [[value(entry, name) for entry in judged if entry["round"] == number] for number in numbers]
            axes.plot(numbers, [_mean([one for one in found if one is not None]) for found in by_round], **style)
    for axes in (left, right):
        axes.axhline(0.0, color="black", linewidth=0.8)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    right.legend(fontsize=7, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return figure


def _rank(entry: Round, name: str) -> float | None:
    value = entry["instrument"]["scores"].get(name, {}).get("spearman")
    return None if value is None else float(value)


def _gain(entry: Round, name: str) -> float | None:
    top = entry["instrument"]["scores"].get(name, {}).get("top_error")
    return None if top is None else float(top - entry["instrument"]["pool_error"])


def _reliability(cells: Sequence[Sequence[Round]]) -> Figure | None:
    found = reliability(entry for rounds in cells for entry in rounds)
    if not found:
        return None
    figure, axes = _single("stated confidence, mean of a range", "Dice, mean of the same frames")
    axes.plot([0, 1], [0, 1], color="black", linewidth=0.8)
    for index, labels in enumerate(sorted({one.labels for one in found})):
        ranges = [one for one in found if one.labels == labels]
        stated, dice = [one.stated for one in ranges], [one.dice for one in ranges]
        axes.plot(stated, dice, linestyle=_line_style(index), linewidth=1.0, label=f"{labels} labels")
        axes.scatter(stated, dice, s=[4 + one.frames / 2 for one in ranges])
    axes.legend(fontsize=8, loc="upper left")
    return figure


def _bland_altman(variants: Sequence[Variant]) -> Figure | None:
    measured = [(variant, thickness_pairs(variant)) for variant in variants]
    measured = [(variant, pairs) for variant, pairs in measured if len(pairs[0]) > 1]
    if not measured:
        return None
    rows = -(-len(measured) // _COLUMNS)
    figure = Figure(figsize=(12, 3.4 * rows), dpi=_DPI, layout="constrained")
    axes = np.ravel(figure.subplots(rows, _COLUMNS, squeeze=False))
    for one, (variant, (predicted, true, unit)) in zip(axes, measured, strict=False):
        first, second = np.asarray(predicted), np.asarray(true)
        one.scatter((first + second) / 2, first - second, s=6, alpha=0.5)
        found = bland_altman(predicted, true)
        one.axhline(found.bias, color="black")
        for limit in found.limits:
            one.axhline(limit, color="black", linestyle="--")
        one.set_title(
            f"{variant.name}: {found.bias:+.3f} ({found.limits[0]:+.3f} to {found.limits[1]:+.3f})", fontsize=9
        )
        _label(one, f"mean of predicted and true ({unit})", f"predicted minus true ({unit})")
    for one in axes[len(measured) :]:
        one.set_axis_off()
    return figure


def _frames(variants: Sequence[Variant], thumbnails: Path) -> Figure | None:
    """What each strategy asked for first, and ranked last, in the first round of its first seed."""
    if not thumbnails.is_dir():
        return None
    figure = Figure(figsize=(12, 1.9 * 2 * len(variants)), dpi=_DPI, layout="constrained")
    axes = figure.subplots(2 * len(variants), _SHOWN, squeeze=False)
    for place, variant in enumerate(variants):
        seed = min(variant.by_seed)
        first = variant.by_seed[seed][0]
        for row, (when, queries) in enumerate(
            (("first", first["queried"][:_SHOWN]), ("last", first["last_ranked"][-_SHOWN:]))
        ):
            for column, one in enumerate(axes[2 * place + row]):
                one.set_axis_off()
                if column >= len(queries):
                    continue
                path = thumbnails / f"{queries[column]['id']}.png"
                if path.exists():
                    with Image.open(path) as picture:
                        one.imshow(np.asarray(picture), cmap="gray", vmin=0, vmax=255)
                one.set_title(f"{variant.name}, {when}: {queries[column]['id']}", fontsize=6, parse_math=False)
    return figure


def _single(x: str, y: str) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(8, 5), dpi=_DPI, layout="constrained")
    axes = figure.subplots()
    _label(axes, x, y)
    return figure, axes


def _label(axes: Axes, x: str, y: str) -> None:
    axes.set_xlabel(x, fontsize=9)
    axes.set_ylabel(y, fontsize=9)
    axes.grid(alpha=0.3)


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values)) if values else float("nan")


def _png(figure: Figure) -> bytes:
    buffer = BytesIO()
    figure.savefig(buffer, format="png")
    return buffer.getvalue()


def _grey(png: bytes) -> bytes:
    """The same picture in grey: a third of the size."""
    buffer = BytesIO()
    with Image.open(BytesIO(png)) as picture:
        picture.convert("L").save(buffer, format="PNG", optimize=True)
    return buffer.getvalue()
