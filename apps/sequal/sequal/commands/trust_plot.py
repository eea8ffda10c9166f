"""The picture of a study's trust: predicted beside found Dice, and predicted beside drawn thickness."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from matplotlib.axes import Axes
from matplotlib.colors import TABLEAU_COLORS
from matplotlib.figure import Figure

from sequal.errors import StudyError

__all__ = ["trust_figure", "write_trust_plot"]

_NOW, _FORMER = "#1f6fb2", "#b9b9b9"
_SIZE: Final = {"mm": "thickness", "px": "thickness", "ml": "volume"}


def write_trust_plot(path: Path, trust: Mapping[str, Any]) -> None:
    """Write the picture as PNG, PDF or SVG, by the suffix.

    Args:
        path: file to write.
        trust: as `sequal.study.trust.study_trust` gives it.

    Raises:
        StudyError: no label has judged a mask yet, or the file cannot be written.
    """
    figure = trust_figure(trust)
    if figure is None:
        raise StudyError(
            "Expected labels that judged a mask, got none yet. Submit labels to a server that has a model in service, "
            "and plot again."
        )
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path)
    except (OSError, ValueError) as error:
        raise StudyError(f"Expected `{path}` to be a picture to write to, got: {error}. Name a .png.") from error


def trust_figure(trust: Mapping[str, Any]) -> Figure | None:
    """The picture; None where no label has judged a mask.

    Args:
        trust: as `sequal.study.trust.study_trust` gives it.
    """
    checks = trust.get("checks") or []
    if not checks:
        return None
    figure = Figure(figsize=(9.0, 4.4), dpi=110, layout="constrained")
    left, right = figure.subplots(1, 2)
    _draw_dice(left, [one for one in checks if one["predicted_dice"] is not None], trust["threshold"])
    _draw_sizes(right, checks)
    return figure


def _draw_dice(axes: Axes, checks: list[Mapping[str, Any]], threshold: float) -> None:
    axes.plot([0, 1], [0, 1], color="#444", linewidth=0.8)
    axes.axhline(threshold, color="#c0392b", linewidth=0.8, linestyle="--", label=f"good: over {threshold}")
    for former, colour, name in ((True, _FORMER, "earlier models"), (False, _NOW, "model in service")):
        shown = [one for one in checks if (one["age"] > 0) == former]
        if shown:
            places = [one["predicted_dice"] for one in shown], [one["dice"] for one in shown]
            axes.plot(*places, "o", color=colour, markersize=5, alpha=0.8, label=name)
    axes.set(xlabel="predicted Dice", ylabel="Dice with the expert's label", xlim=(0, 1.02), ylim=(-0.02, 1.02))
    axes.legend(loc="upper left", fontsize=8)
    axes.set_title(f"{len(checks)} masks, each before its label was learnt", fontsize=10)


def _draw_sizes(axes: Axes, checks: list[Mapping[str, Any]]) -> None:
    sizes = [size for one in checks for size in one["sizes"] if None not in (size["predicted"], size["drawn"])]
    units = [size["unit"] for size in sizes]
    if not sizes:
        axes.set_axis_off()
        axes.text(0.5, 0.5, "nothing could be measured in both", ha="center", transform=axes.transAxes)
        return
    unit = max(dict.fromkeys(units), key=units.count)
    names = list(dict.fromkeys(size["label"] for size in sizes if size["unit"] == unit))
    axes.set_prop_cycle(color=[_NOW, *list(TABLEAU_COLORS.values())[1:]])
    for name in names:
        shown = [size for size in sizes if size["label"] == name and size["unit"] == unit]
        places = [size["drawn"] for size in shown], [size["predicted"] for size in shown]
        axes.plot(*places, "o", markersize=5, alpha=0.8, label=name)
    ends = [min(axes.get_xlim()[0], axes.get_ylim()[0]), max(axes.get_xlim()[1], axes.get_ylim()[1])]
    axes.plot(ends, ends, color="#444", linewidth=0.8)
    axes.set(xlabel=f"drawn {_SIZE[unit]} ({unit})", ylabel=f"predicted {_SIZE[unit]} ({unit})", xlim=ends, ylim=ends)
    axes.legend(loc="upper left", fontsize=8)
    axes.set_title(f"{_SIZE[unit]} where both have it", fontsize=10)
