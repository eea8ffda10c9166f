"""The report of a study: one self-contained page, and the same as JSON."""

import base64
import json
import time
from io import BytesIO
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from sequal.commands.place import output_folder
from sequal.commands.status import shown
from sequal.commands.trust_plot import trust_figure
from sequal.errors import StudyError
from sequal.study.overview import StudyOverview
from sequal.study.state import atomic_write
from sequal.study.trust import trust_words
from sequal.templates import templates_of

__all__ = ["write_study_report"]


def write_study_report(study: StudyOverview, out: Path) -> None:
    """Write `index.html` and `study.json`.

    Args:
        study: how it stands.
        out: the folder; made if missing.

    Raises:
        StudyError: it cannot be written.
    """
    templates = templates_of("sequal.commands")
    templates.filters["shown"] = _cell
    pictures = {"curve": _curve(study), "trust": _encoded(trust_figure(study.trust))}
    when, words = time.strftime("%Y-%m-%d %H:%M"), trust_words(study.trust)
    page = templates.get_template("study.html.j2").render(study=study, when=when, trust_words=words, **pictures)
    output_folder(out)
    try:
        for name, text in (("index.html", page), ("study.json", json.dumps(study.as_json(), indent=1))):
            with atomic_write(out / name) as file:
                file.write(text.encode())
    except OSError as error:
        raise StudyError(f"Expected `{out}` to be writable, got: {error}. Name another --out.") from error


def _cell(value: object, key: str) -> str:
    text = shown(key, value)
    if text is None:
        return "–"
    return f"{text:.3g}" if isinstance(text, float) else str(text)


def _curve(study: StudyOverview) -> str:
    """Dice before and after each round as PNG in base64; empty when no round was judged."""
    judged: list[dict[str, Any]] = [one for one in study.rounds if one["dice"] is not None]
    if not judged:
        return ""
    figure = Figure(figsize=(7.0, 3.2), dpi=110, layout="constrained")
    axes = figure.add_subplot()
    rounds = [one["round"] for one in judged]
    before = [float("nan") if one["dice_before"] is None else one["dice_before"] for one in judged]
    axes.plot(rounds, before, "o--", color="#888", label="before the round")
    axes.plot(rounds, [one["dice"] for one in judged], "o-", color="#1f6fb2", label="after the round")
    axes.set(xlabel="round", ylabel="Dice on the labels")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.legend()
    return _encoded(figure)


def _encoded(figure: Figure | None) -> str:
    """PNG in base64; empty without a picture."""
    if figure is None:
        return ""
    picture = BytesIO()
    figure.savefig(picture, format="png")
    return base64.b64encode(picture.getvalue()).decode()
