"""`status`: how a study stands, from its folders alone."""

import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from rich.markup import escape

from lib.acquisition import STRATEGIES, Query
from lib.commands.console import OUT, table
from lib.commands.place import StudyPlace
from lib.errors import SettingsError
from lib.imaging import stored_label_says_no_layer
from lib.label_notes import noted_warnings
from lib.state import (
    STARTING,
    RefinedRecord,
    StudyModels,
    StudyState,
    file_digest,
    kept_bytes,
    state_warnings,
    study_warnings,
)
from lib.study_pool import query_generator, study_pool

__all__ = ["next_queries", "show_status"]

_NEXT = 10


def show_status(place: StudyPlace, strategy: str | None = None) -> None:
    """Print how many images have what, who holds or skipped which, the rounds, the model in service and what is next.

    Args:
        place: the study; nothing in it is changed.
        strategy: for the next images; None: the one in the settings.

    Raises:
        SettingsError: there is no such strategy.
        StudyError: the state cannot be read.
    """
    name = strategy or place.settings.strategy
    if name not in STRATEGIES:
        known = ", ".join(sorted(STRATEGIES))
        raise SettingsError(f"Expected `--strategy` to be one of {known}, got {name!r}. Name one of these.")
    with _state(place) as state:
        _print_overview(place, state)
        _print_leases(state)
        _print_skips(state)
        _print_doubts(place)
        _print_rounds(state)
        _print_next(place, state, name)


def next_queries(place: StudyPlace, state: StudyState, strategy: str) -> list[Query]:
    """What the strategy would ask a new annotator for, the most wanted first, leased images left out."""
    checkpoint = place.checkpoint
    digest = None if checkpoint is None else file_digest(checkpoint)
    pool = study_pool(state, digest, place.files.unlabelled, place.files.labelled, place.patients)
    ranked = STRATEGIES[strategy].rank(pool, query_generator(place.settings.seed, pool))
    leased = state.ledger.leased()
    return [query for query in ranked if query.id not in leased]


@contextmanager
def _state(place: StudyPlace) -> Iterator[StudyState]:
    """The state of the study; an empty one elsewhere when there is none yet, since status makes no folders."""
    if place.state.is_dir():
        yield StudyState.open(place.state, place.settings)
    else:
        with tempfile.TemporaryDirectory() as folder:
            yield StudyState.open(Path(folder), place.settings)


def _print_overview(place: StudyPlace, state: StudyState) -> None:
    refined = _current(state.ledger.refined())
    changed = float(np.mean([record.fraction_changed for record in refined])) if refined else None
    checkpoint = place.checkpoint
    rows: list[tuple[str, object]] = [
        ("studies", place.files.folder),
        ("state", place.state if place.state.is_dir() else f"{place.state} (not there yet)"),
        ("checkpoint in service", "none: train once, or run `cli.py pretrain`" if checkpoint is None else checkpoint),
        ("model in service", _in_service(place, state)),
        ("images", str(len(place.files.images))),
        ("labelled", str(len(place.files.labelled))),
        ("of these without a layer", str(sum(map(stored_label_says_no_layer, place.files.labels.values())))),
        ("unlabelled", str(len(place.files.unlabelled))),
        ("skipped", str(len(state.ledger.skipped()))),
        ("leased", str(len(state.ledger.leased()))),
        ("refined labels", str(len(refined))),
        ("mean fraction of pixels changed", "-" if changed is None else f"{changed:.4f}"),
    ]
    for folder, meaning in (("rejected", "labels refused"), ("replaced", "labels and images replaced")):
        count, size = kept_bytes(place.state / folder)
        rows.append((f"{meaning}, kept in {folder}/", f"{count} files, {size / 2**20:.1f} MiB"))
    OUT.print(table("Study", ("", ""), rows))
    for warning in [*study_warnings(place.files.folder), *state_warnings(place.state)]:
        OUT.print(f"[bold red]![/] {escape(warning)}")


def _in_service(place: StudyPlace, state: StudyState) -> str:
    model = StudyModels(state, place.starting_weights).in_service()
    if model is None:
        return "-" if place.checkpoint is None else "of another study"
    return "starting weights" if model.round == STARTING else f"round {model.round}"


def _current(records: list[RefinedRecord]) -> list[RefinedRecord]:
    """The newest record of each image: `Ledger.refined` gives them by round."""
    return list({record.image: record for record in records}.values())


def _print_leases(state: StudyState) -> None:
    terms = sorted(state.ledger.lease_terms().items(), key=lambda entry: entry[1][1])
    if terms:
        rows = [(image, client, _date(until)) for image, (client, until) in terms]
        OUT.print(table("Leased", ("image", "by", "until"), rows))


def _print_skips(state: StudyState) -> None:
    rows = [(skip.image, skip.client, _date(skip.skipped_at), skip.reason) for skip in state.ledger.skips()]
    if rows:
        OUT.print(table("Skipped: asked of nobody until taken back", ("image", "by", "at", "reason"), rows))


def _print_doubts(place: StudyPlace) -> None:
    rows = [(image, " ".join(warnings)) for image, warnings in noted_warnings(place.files.folder).items()]
    if rows:
        OUT.print(table("Labels to look at again", ("image", "why"), rows))


def _print_rounds(state: StudyState) -> None:
    rows = [
        (
            record.round,
            record.status,
            (record.metrics or {}).get("metric"),
            len(record.train_ids),
            record.seconds,
            _date(record.started_at),
            record.reason,
        )
        for record in state.ledger.rounds()
    ]
    if not rows:
        OUT.print("No round yet.")
        return
    OUT.print(
        table("Rounds", ("round", "status", "Dice on labels", "trained on", "seconds", "started", "reason"), rows)
    )


def _print_next(place: StudyPlace, state: StudyState, strategy: str) -> None:
    rows = [(query.id, query.score, query.reason) for query in next_queries(place, state, strategy)[:_NEXT]]
    if not rows:
        OUT.print("No unlabelled image is free.")
        return
    OUT.print(table(f"Next {len(rows)} by {strategy}", ("image", "score", "reason"), rows))


def _date(seconds: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(seconds))
