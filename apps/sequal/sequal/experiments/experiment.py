"""An experiment folder: its plan, its frames, and cells that several processes or machines take one by one."""

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Self

from filelock import FileLock, Timeout

from sequal.errors import CheckpointError, StudyError
from sequal.experiments.cell import CellPlayer, round_file
from sequal.experiments.dataset import Dataset, prepare_dataset
from sequal.experiments.plan import FULL, Cell, Plan
from sequal.memory import give_memory_back
from sequal.prediction import check_fits, choose_device
from sequal.study.state import load_checkpoint, publish

__all__ = ["Experiment"]


@dataclass(frozen=True)
class Experiment:
    """An experiment on disk.

    `experiment.json` the plan, `data/` the frames, `thumbnails/`, `cells/<cell>/round-XX.json` the results,
    `work/` what unfinished cells need, `locks/`.

    Attributes:
        folder: where it is.
        plan: its options.
    """

    folder: Path
    plan: Plan

    @classmethod
    def open(cls, folder: Path, given: Mapping[str, object]) -> Self:
        """Begin an experiment, or go on with the one in `folder`, which may get more seeds.

        Args:
            folder: made if it is missing.
            given: options that were given, by field of `Plan`.

        Raises:
            SettingsError: an option breaks its rule or differs from the recorded ones.
            CheckpointError: the starting weights cannot be used.
            StudyError: the folder cannot be used.
        """
        if not (folder / "experiment.json").exists():
            plan = Plan.of(given)  # everything is checked before anything is written
            if plan.starting_weights != "none":
                _check_weights(Path(plan.starting_weights), plan)
        try:
            for name in ("cells", "locks", "work"):
                (folder / name).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StudyError(f"Expected `{folder}` to be writable, got: {error}. Name another folder.") from error
        with FileLock(folder / "locks" / "experiment.lock"):
            plan = Plan.open(folder / "experiment.json", given)
        weights = folder / "starting_weights.pt"
        if plan.starting_weights != "none" and not weights.exists():
            publish(Path(plan.starting_weights), weights)
        return cls(folder, plan)

    def finished_rounds(self, cell: Cell) -> int:
        """How many rounds of a cell are written down."""
        folder = self.folder / "cells" / cell.name
        return sum(round_file(folder, number).exists() for number in self.plan.round_numbers)

    def unfinished(self, wanted: Callable[[Cell], bool] = lambda _: True) -> list[Cell]:
        """Cells with rounds to play, of those that are wanted."""
        cells = [cell for cell in self.plan.cells() if wanted(cell)]
        return [cell for cell in cells if self.finished_rounds(cell) < len(self.plan.round_numbers)]

    def play(
        self,
        device: str = "auto",
        on_prepared: Callable[[int, int], None] = lambda *_: None,
        on_progress: Callable[[Cell, int, int], None] = lambda *_: None,
        wanted: Callable[[Cell], bool] = lambda _: True,
    ) -> list[Cell]:
        """Play every cell that nobody else is playing.

        Args:
            device: as the setting `device`; it may differ between machines.
            on_prepared: called with the number of prepared frames and of all frames.
            on_progress: called with the cell, its finished rounds, and the finished epochs of the running round.
            wanted: leaves cells for another call; all are wanted by default.

        Returns:
            Cells that are still unfinished, because others are playing them.

        Raises:
            SequalError: a frame cannot be read, or a cell cannot be played; what is finished stays.
        """
        choose_device(self.plan.settings_of(self.plan.cells()[0], device).device)
        dataset = prepare_dataset(self.folder / "data", self.plan, on_prepared)
        while any([self._try_to_play(c, dataset, device, partial(on_progress, c)) for c in self.unfinished(wanted)]):
            pass  # once more: a process that held a cell may have been stopped since
        return self.unfinished(wanted)

    def _try_to_play(self, cell: Cell, dataset: Dataset, device: str, progress: Callable[[int, int], None]) -> bool:
        """Play a cell unless another process does; the lock of a process that died is gone with it."""
        try:
            with FileLock(self.folder / "locks" / f"{cell.name}.lock").acquire(blocking=False):
                if self.finished_rounds(cell) == len(self.plan.round_numbers):
                    return False
                divided = dataset.of_seed(cell.seed, self.plan)
                CellPlayer(self.folder, self.plan, cell, divided, device, progress).play()
        except Timeout:
            return False
        give_memory_back()  # else a process of twenty cells holds some GB that it does not need
        self._forget_start(cell)
        return True

    def _forget_start(self, cell: Cell) -> None:
        """Delete the shared first round once every cell that begins with it is finished."""
        start = self.plan.start_of(cell)
        sharing = [
            other
            for other in self.plan.cells()
            if self.plan.start_of(other) == start and (other.strategy != FULL or self.plan.round_numbers[0] == 0)
        ]
        if all(self.finished_rounds(other) == len(self.plan.round_numbers) for other in sharing):
            shutil.rmtree(self.folder / "work" / start, ignore_errors=True)


def _check_weights(path: Path, plan: Plan) -> None:
    """The starting weights have to be for at least one variant of the experiment."""
    checkpoint = load_checkpoint(path)
    errors = []
    for cell in plan.cells():
        try:
            check_fits(checkpoint, plan.settings_of(cell), path.name)
        except CheckpointError as error:
            errors.append(error)
        else:
            return
    raise errors[0]
