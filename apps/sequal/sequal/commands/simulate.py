"""`simulate`: play the cells of an experiment, alone or beside other processes on the same folder."""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from rich.progress import Progress, TaskID

from sequal.commands.console import OUT, progress_bar, table
from sequal.commands.spelling import setting_pairs
from sequal.errors import StudyError
from sequal.experiments import Cell, Experiment
from sequal.experiments.results import read_cells

__all__ = ["given_options", "simulate_command"]

#: A round takes minutes: the time left is judged by the last hour.
_MEMORY_S = 3600.0


def given_options(
    options: Mapping[str, object | None], settings: Sequence[str], variant: str | None = None
) -> dict[str, object]:
    """The options that were given, by field of `Plan`.

    Args:
        options: None for what was not given.
        settings: `key=value` pairs.
        variant: the variant whose settings they are; None: they hold for every cell.

    Raises:
        SettingsError: a pair is malformed.
    """
    pairs = setting_pairs(settings)
    found = {name: value for name, value in options.items() if value is not None}
    if variant is not None:
        return {**found, "variants": {variant: pairs}}
    return {**found, "settings": pairs} if pairs else found


def simulate_command(
    folder: Path, given: Mapping[str, object], device: str, wanted: Callable[[Cell], bool] = lambda _: True
) -> None:
    """Play what is left of an experiment, with a progress bar, and print where it stands.

    Args:
        folder: of the experiment.
        given: options by field of `Plan`.
        device: as the setting `device`.
        wanted: leaves cells for another call; all are wanted by default.

    Raises:
        SequalError: as `Experiment.open` and `Experiment.play`.
    """
    if folder.exists() and not folder.is_dir():
        raise StudyError(f"Expected `{folder}` to be a folder, got a file. Name another.")
    experiment = Experiment.open(folder, given)
    cells = [cell for cell in experiment.plan.cells() if wanted(cell)]
    with _without_label_warnings(), progress_bar(memory_s=_MEMORY_S) as bar:
        frames = bar.add_task("Frames", total=None)
        task = bar.add_task("Rounds", total=len(cells) * len(experiment.plan.round_numbers))

        def moved(cell: Cell, rounds: int, epochs: int) -> None:
            of_round = epochs / (experiment.plan.settings_of(cell, "cpu").epochs + 1)
            others = sum(experiment.finished_rounds(other) for other in cells if other != cell)
            bar.update(task, completed=others + rounds + of_round, description=f"{cell.name}, round {rounds + 1}")

        prepared = partial(_prepared, bar, frames)
        left = experiment.play(device, prepared, moved, wanted)
    _show(experiment)
    if left:
        OUT.print(f"{len(left)} cells are being played elsewhere: {', '.join(cell.name for cell in left)}.")
    else:
        OUT.print(f"All {len(cells)} cells are finished. See: cli.py report {folder}", markup=False)


def _prepared(bar: Progress, task: TaskID, done: int, total: int) -> None:
    bar.update(task, completed=done, total=total)


@contextmanager
def _without_label_warnings() -> Iterator[None]:
    """A frame without a wall gives an empty label, which the round leaves out and its JSON names: no need to warn."""
    logger = logging.getLogger("sequal.learning.training.labels_in_use")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)


def _show(experiment: Experiment) -> None:
    rows = []
    for cell, rounds in read_cells(experiment.folder, experiment.plan).items():
        last = rounds[-1]
        mean = last["test"]["mean"]
        rows.append((cell.name, len(rounds), len(last["labelled"]), mean["dice"], mean["hd95"], mean["asd"]))
    if rows:
        OUT.print(
            table(
                "Test images after the last finished round", ("cell", "rounds", "labels", "Dice", "HD95", "ASD"), rows
            )
        )
