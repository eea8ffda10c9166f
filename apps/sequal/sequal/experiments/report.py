"""The report of an experiment: one self-contained page, a Markdown table with figures, and `summary.json`."""

import base64
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from sequal.errors import StudyError
from sequal.experiments.figures import draw_figures
from sequal.experiments.plan import Plan, option_name
from sequal.experiments.reliability import calibration_error, reliability
from sequal.experiments.results import Round, read_cells
from sequal.experiments.summary import TARGETS, full_dice, summarise
from sequal.experiments.variants import variants_of
from sequal.study.state import atomic_write
from sequal.templates import templates_of

__all__ = ["CAPTIONS", "write_report"]

CAPTIONS: Final = {
    "learning_curves.png": "Dice on the test images, mean over seeds with its 95 % interval (Student's t).",
    "difference_to_random.png": "Dice minus that of random queries, paired by seed, with its 95 % bootstrap interval.",
    "refinement.png": (
        "Labels that the last round had refined: Dice with the truth before and after, on the pixels that the expert "
        "annotated, and on the whole frame."
    ),
    "instrument.png": (
        "Every score against the true error (1 − Dice) over the unlabelled pool, mean over all cells: rank "
        "correlation, and how much worse than the pool the images are that it would ask for."
    ),
    "reliability.png": (
        "Reliability of the confidence that an annotator is told: frames of a stated confidence against their mean "
        "Dice, all cells; larger dots stand for more frames."
    ),
    "bland_altman.png": (
        "Intima-media thickness on the test images after the last round, all seeds: bias and 95 % limits of agreement."
    ),
    "frames.png": "Frames of the first round of the first seed: asked for first, and ranked last.",
}


def write_report(experiment: Path, out: Path) -> dict[str, Any]:
    """Write the report from the experiment's JSON files and thumbnails alone.

    Args:
        experiment: folder of `simulate`.
        out: folder for `index.html`, `report.md`, `summary.json` and the figures.

    Returns:
        What `summary.json` holds.

    Raises:
        StudyError: no cell is finished, a file is damaged, or `out` cannot be written.
    """
    plan = Plan.load(experiment / "experiment.json")
    cells = read_cells(experiment, plan)
    variants = variants_of(plan, cells)
    if not variants:
        raise StudyError(
            f"Expected `{experiment}` to hold at least one finished cell, got none. Run `cli.py simulate` to its end."
        )
    summary = summarise(variants, full_dice(plan, cells))
    judged = [rounds for variant in variants for rounds in variant.by_seed.values()]
    reliable = reliability(entry for rounds in judged for entry in rounds)
    figures = draw_figures(variants, summary, judged, experiment / "thumbnails")
    finished = sum(len(rounds) == len(plan.round_numbers) for rounds in cells.values())
    context = {
        "name": experiment.resolve().name,
        "options": _options(plan),
        "of_a_layer": plan.of_a_layer,
        "summary": summary,
        "targets": TARGETS,
        "captions": {name: CAPTIONS[name] for name in figures},
        "followed": all("failures" in entry["test"]["mean"] for rounds in judged for entry in rounds),
        "reliability": reliable,
        "calibration_error": calibration_error(reliable),
        "machines": _machines(judged),
        "bound_by_steps": _bound_by_steps(summary),
        "finished": finished,
        "planned": len(plan.cells()),
        "embedded": {name: base64.b64encode(png).decode() for name, png in figures.items()},
    }
    templates = templates_of("sequal.experiments")
    templates.filters["figure"] = _number
    templates.filters["estimate"] = _estimate
    templates.filters["mean_interval"] = _mean_interval
    templates.filters["signed"] = _signed
    files = {
        "index.html": templates.get_template("report.html.j2").render(context).encode(),
        "report.md": templates.get_template("report.md.j2").render(context).encode(),
        "summary.json": json.dumps(summary, indent=1, allow_nan=False).encode(),
        **figures,
    }
    try:
        out.mkdir(parents=True, exist_ok=True)
        for name, content in files.items():
            with atomic_write(out / name) as file:
                file.write(content)
    except OSError as error:
        raise StudyError(f"Expected `{out}` to be writable, got: {error}. Name another --out.") from error
    return summary


def _bound_by_steps(summary: dict[str, Any]) -> bool:
    """Whether all labels of the pool gave less than the few of a strategy: too few steps then hide what labels do."""
    full = next(iter(summary.values()))["full_dice"]
    return full is not None and max(row["final_dice"] for row in summary.values()) > full


def _options(plan: Plan) -> dict[str, str]:
    record = plan.record()
    settings = record.pop("settings")
    variants = record.pop("variants")
    unused = ("start", "budget", "rounds") if plan.labels else ()
    shown = {
        option_name(name): value
        for name, value in record.items()
        if value not in ("", 0, False, []) and name not in unused
    }
    return {
        **{name: ",".join(map(str, value)) if isinstance(value, list) else str(value) for name, value in shown.items()},
        **{f"--set {key}": str(value) for key, value in settings.items()},
        **{f"--variant {name}": _pairs(own) for name, own in variants.items()},
    }


def _pairs(settings: Mapping[str, str]) -> str:
    return " ".join(f"--set {key}={value}" for key, value in settings.items())


def _machines(cells: Sequence[Sequence[Round]]) -> list[str]:
    return sorted({_machine(entry) for rounds in cells for entry in rounds})


def _machine(entry: Round) -> str:
    versions = ", ".join(f"{name} {version}" for name, version in sorted(entry["versions"].items()))
    return f"{entry['device']}; {versions}"


def _number(value: float | None, digits: int = 3) -> str:
    """A figure, or a dash for what is not there.

    >>> _number(0.12345), _number(None), _number(12.0, 0)
    ('0.123', '–', '12')
    """
    return "–" if value is None else f"{value:.{digits}f}"


def _mean_interval(value: dict[str, float | None] | None, digits: int = 3) -> str:
    """A mean with its interval.

    >>> _mean_interval({"mean": 0.84, "low": 0.82, "high": 0.86})
    '0.840 (0.820 to 0.860)'
    >>> _mean_interval({"mean": 2.0, "low": None, "high": None}, 1)
    '2.0'
    """
    if value is None or value["mean"] is None:
        return "–"
    if value["low"] is None or value["high"] is None:
        return f"{value['mean']:.{digits}f}"
    return f"{value['mean']:.{digits}f} ({value['low']:.{digits}f} to {value['high']:.{digits}f})"


def _signed(value: dict[str, float | None] | None) -> str:
    """A signed mean without its interval."""
    return "–" if value is None or value["mean"] is None else f"{value['mean']:+.3f}"


def _estimate(value: dict[str, float | None] | None) -> str:
    """A signed mean with its interval.

    >>> _estimate({"mean": 0.012, "low": 0.001, "high": 0.02}), _estimate(None)
    ('+0.012 (+0.001 to +0.020)', '–')
    """
    if value is None or value["mean"] is None:
        return "–"
    if value["low"] is None or value["high"] is None:
        return f"{value['mean']:+.3f}"
    return f"{value['mean']:+.3f} ({value['low']:+.3f} to {value['high']:+.3f})"
