"""`status`: how a study stands, wherever it is."""

import time
from collections.abc import Sequence
from pathlib import Path

from rich.markup import escape

from sequal.commands.console import OUT, table
from sequal.commands.looking import look_at_study
from sequal.study.overview import StudyOverview
from sequal.study.trust import trust_words

__all__ = ["show_status", "shown"]

_MEBIBYTE = 2**20


def show_status(
    studies: str,
    app: Path,
    state: Path | None,
    conf: Sequence[str],
    strategy: str | None = None,
    plot: Path | None = None,
) -> None:
    """Print how many images have what, who holds or skipped which, the rounds, the model in service and what is next.

    Args:
        studies: a folder, the DICOMweb address of a PACS, or the address of a server; nothing in it is changed.
        app: folder of the app.
        state: the state folder; None: as the server finds it.
        conf: `key=value` settings of the server.
        strategy: for the next images; None: the one in the settings.
        plot: file for a picture of predicted and found Dice and thickness; None: no picture.

    Raises:
        SequalError: as `look_at_study` and `write_trust_plot`.
    """
    study = look_at_study(studies, app, state, conf, strategy)
    _print_counts(study)
    _print_images("With an annotator now", study, study.leases, ("client", "until"), ("by", "until"))
    _print_images(
        "Skipped: nobody is asked for these",
        study,
        study.skips,
        ("client", "skipped_at", "reason"),
        ("by", "at", "reason"),
    )
    _print_images("Labels to look at again", study, study.doubts, ("warnings",), ("why",))
    _print_rounds(study)
    if study.next:
        _print_images(
            f"Next {len(study.next)} by {study.strategy}", study, study.next, ("score", "reason"), ("score", "reason")
        )
    else:
        OUT.print("No image is left to ask for: all are labelled, skipped or with an annotator.")
    for sentence in trust_words(study.trust):
        OUT.print(sentence, markup=False)
    if plot is not None:
        from sequal.commands.trust_plot import write_trust_plot  # matplotlib is slow to load

        write_trust_plot(plot, study.trust)
        OUT.print(f"{plot} is written.", markup=False)


def _print_counts(study: StudyOverview) -> None:
    rows: list[tuple[str, object]] = [
        ("studies", study.studies),
        ("state", study.state),
        ("file of the model in use", study.checkpoint or "none: train once, or run `cli.py pretrain`"),
        ("model in use", study.in_service),
        ("images", str(study.images)),
        ("labelled", str(study.labelled)),
        ("of these without a layer", str(study.no_layer)),
        ("unlabelled", str(study.images - study.labelled)),
        ("skipped", str(len(study.skips))),
        ("with an annotator now", str(len(study.leases))),
        ("refined labels", str(study.refined)),
        (
            "part of pixels that refining changed",
            "-" if study.pixels_changed is None else f"{study.pixels_changed:.4f}",
        ),
    ]
    for folder, meaning in (("rejected", "labels refused"), ("replaced", "labels, images replaced")):
        count, size = study.kept[folder]
        rows.append((f"{meaning}, in {folder}/", f"{count} files, {size / _MEBIBYTE:.1f} MiB"))
    OUT.print(table("Study", ("", ""), rows))
    for warning in study.warnings:
        OUT.print(f"[bold red]![/] {escape(warning)}")


def _print_images(
    title: str,
    study: StudyOverview,
    found: Sequence[dict[str, object]],
    keys: Sequence[str],
    columns: Sequence[str],
) -> None:
    if found:
        rows = [(study.name(str(one["image"])), *(shown(key, one[key]) for key in keys)) for one in found]
        OUT.print(table(title, ("image", *columns), rows))


def _print_rounds(study: StudyOverview) -> None:
    if not study.rounds:
        OUT.print("No round yet.")
        return
    keys = ("round", "status", "dice_before", "dice", "labels", "seconds", "started_at")
    rows = [tuple(shown(key, one[key]) for key in keys) for one in study.rounds]
    columns = ("round", "status", "Dice before", "Dice after", "labels", "seconds", "started")
    OUT.print(table("Rounds, judged on the labels", columns, rows))
    for one in study.rounds:
        if one["reason"]:
            OUT.print(f"Round {one['round']}: {one['reason']}", markup=False)


def shown(key: str, value: object) -> object:
    """A value of an overview as people read it: times as date and clock, several texts as one.

    Args:
        key: under which it stands.
        value: a JSON value.
    """
    if key in ("until", "skipped_at", "started_at") and isinstance(value, int | float):
        return time.strftime("%Y-%m-%d %H:%M", time.localtime(value))
    return " ".join(map(str, value)) if isinstance(value, list) else value
