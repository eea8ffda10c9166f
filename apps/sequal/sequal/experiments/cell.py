"""One cell of an experiment: rounds of labelling, training, judging and querying, each written down once."""

import gzip
import json
import math
import platform
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import monai
import nibabel as nib
import numpy as np
import torch
from filelock import FileLock
from numpy.typing import NDArray
from torch import nn

from sequal.acquisition import BALD, FEATURES, LAYER_ENTROPY, POWER, Query, extras_for, power_score
from sequal.anatomy.models import model_of
from sequal.errors import StudyError
from sequal.experiments.dataset import Dataset
from sequal.experiments.evaluation import evaluate_pool, evaluate_test
from sequal.experiments.instrument import judge_scores
from sequal.experiments.label_quality import label_quality
from sequal.experiments.plan import FULL, Cell, Plan
from sequal.experiments.playable import FORM_SCORES, PLAYABLE
from sequal.experiments.readers import Readers
from sequal.experiments.results import FORMAT
from sequal.learning.training import run_round
from sequal.prediction import LoadedPair, choose_device, load_pair, store_features
from sequal.preparation.working_frames import WorkingFrames
from sequal.settings import Settings
from sequal.study.items import Item
from sequal.study.pool import query_generator, study_pool
from sequal.study.state import StudyState, atomic_write, create_once
from sequal.study.volume_plan import with_plan

__all__ = ["CellPlayer", "round_file"]

#: How many of the lowest-ranked images are noted, for the page of frames asked for last.
_LAST: Final = 8
_START_SEED: Final = 1
#: The bounds of the setting `working_spacing_mm`.
_WORKING_MM: Final = (0.02, 0.5)


def round_file(cell_folder: Path, number: int) -> Path:
    """The JSON file of a finished round."""
    return cell_folder / f"round-{number:02d}.json"


@dataclass(frozen=True)
class CellPlayer:
    """Plays the rounds of one cell that are not finished yet.

    The state after each round is a folder of its own, so that a stopped round is begun anew from the one before
    and gives what it would have given. The first round is the same for all strategies: it is trained once.

    Attributes:
        folder: the experiment's.
        plan: the experiment's.
        cell: which cell.
        dataset: the images.
        device: as the setting `device`.
        progress: called with the number of finished rounds and finished epochs of the running one.
    """

    folder: Path
    plan: Plan
    cell: Cell
    dataset: Dataset
    device: str
    progress: Callable[[int, int], None]

    def play(self) -> None:
        """Play to the end, then delete the work folder.

        Raises:
            StudyError: training diverged in the first round, or the folder cannot be written.
            SequalError: as `run_round`.
        """
        results = self.folder / "cells" / self.cell.name
        results.mkdir(parents=True, exist_ok=True)
        labelled = self.initial()
        numbers = self.plan.round_numbers
        for number in numbers:
            self.progress(number - numbers[0], 0)
            path = round_file(results, number)
            if path.exists() and (self._finished_state(number) or number < self._go_on_from(results)):
                record = json.loads(path.read_bytes())
            else:
                record = json.loads(create_once(path, _dump(self._round(number, labelled))))
            labelled = sorted([*labelled, *(query["id"] for query in record["queried"])])
            shutil.rmtree(self._state(number - 1), ignore_errors=True)
        self.progress(len(numbers), 0)
        shutil.rmtree(self._work, ignore_errors=True)

    def initial(self) -> list[str]:
        """Ids that are labelled before the first round, the same for all strategies of a seed.

        They are drawn from frames that show the layer: nobody begins a study with empty ones. None where the experiment
        begins before any label: then each strategy asks for its first ones itself.
        """
        pool = self.dataset.frames["pool"]
        first = self.plan.round_numbers[0]
        if self.cell.strategy == FULL and first > 0:
            return sorted(pool)
        start = self.plan.labels_at(first, len(pool))
        showing = sorted(image for image, frame in pool.items() if frame.layer)
        if len(showing) < start:
            raise StudyError(
                f"Expected at least {start} frames of the pool to show the layer, got {len(showing)}. "
                "Lower --start, or the first number of --labels."
            )
        rng = np.random.default_rng([self.cell.seed, _START_SEED])
        return sorted(showing[index] for index in rng.permutation(len(showing))[:start])

    def _asked_after(self, number: int) -> int:
        """How many images a round asks for; after the last one, what the next query would hold."""
        pool = len(self.dataset.frames["pool"])
        if self.cell.strategy == FULL:
            return pool
        if number == self.plan.round_numbers[-1]:
            return self.plan.batch
        return self.plan.labels_at(number + 1, pool) - self.plan.labels_at(number, pool)

    def _go_on_from(self, results: Path) -> int:
        """The last round whose state is still there, 0 for none: rounds before it need no state."""
        done = [n for n in self.plan.round_numbers if round_file(results, n).exists() and self._finished_state(n)]
        return max(done, default=0)

    def _round(self, number: int, labelled: Sequence[str]) -> dict[str, Any]:
        state_folder = self._state(number)
        shutil.rmtree(state_folder, ignore_errors=True)
        first = self.plan.round_numbers[0]
        if number == first and (number == 0 or self.cell.strategy != FULL):
            judged = self._shared_start(state_folder, number, labelled)
        else:
            former = self._state(number - 1)
            if number > first:
                shutil.copytree(former, state_folder, ignore=shutil.ignore_patterns("events"))
            judged = self._train_and_judge(state_folder, number, labelled)
        errors, scores = judged.pop("errors"), judged.pop("scores")
        ranked = self._ranked(state_folder, labelled)
        asked = ranked[: self._asked_after(number)]
        (state_folder / "finished").touch()
        return {
            "format": FORMAT,
            **asdict(self.cell),
            "round": number,
            "labelled": list(labelled),
            "queried": [{"id": query.id, "score": query.score} for query in asked],
            "last_ranked": [{"id": query.id, "score": query.score} for query in ranked[len(asked) :][-_LAST:]],
            **judged,
            "instrument": judge_scores(scores, errors, self.plan.batch, [query.id for query in asked]),
        }

    def _shared_start(self, state_folder: Path, number: int, labelled: Sequence[str]) -> dict[str, Any]:
        """The first round of this seed and these settings, played by whichever strategy comes first."""
        start = self.folder / "work" / self.plan.start_of(self.cell)
        done = start / "judged.json"
        with FileLock(self.folder / "locks" / f"{start.name}.lock"):
            if not done.exists():
                shutil.rmtree(start, ignore_errors=True)
                judged = self._train_and_judge(start / "state", number, labelled)
                with atomic_write(done) as file:
                    file.write(_dump(judged))
            shutil.copytree(start / "state", state_folder, ignore=shutil.ignore_patterns("events"))
            found: dict[str, Any] = json.loads(done.read_bytes())
        return found

    def _train_and_judge(self, state_folder: Path, number: int, labelled: Sequence[str]) -> dict[str, Any]:
        """Run a round, but for round 0, and judge the pair in service after it; writes its scores to the ledger."""
        began = time.monotonic()
        state = StudyState.open(state_folder, self.settings)
        items = [self._labelled_item(image) for image in labelled]
        training = None if number == 0 else self._train(state, number, items)
        trained = time.monotonic()
        loaded = self._in_service(state)
        first = number == self.plan.round_numbers[0]
        every = self.plan.scores == "all"
        asking = self.plan.strategies if first else (self.cell.strategy,)  # the first round is shared by all strategies
        pool = evaluate_pool(
            self.dataset,
            self._unlabelled(labelled) if every or not set(asking) <= {FULL, "random"} else [],
            loaded,
            self._former_teacher(state, number) if every else None,
            self._frames,
            self.settings,
            self._torch_device,
            with_bald=self._needs_bald(first),
            with_forms=every or not set(FORM_SCORES.values()).isdisjoint(self.plan.strategies),
        )
        state.ledger.put_scores(loaded.digest, pool.scores)
        return {
            "test": evaluate_test(self.dataset, loaded, self._test_frames, self.settings, self._torch_device),
            "labels": label_quality(self.dataset, items, state.refined, model_of(self.settings)),
            "training": training,
            "errors": pool.errors,
            "scores": pool.scores,
            "seconds": {"train": round(trained - began, 2), "judge": round(time.monotonic() - trained, 2)},
            "versions": {"torch": torch.__version__, "monai": monai.__version__, "python": platform.python_version()},
            "device": _device_name(self._torch_device),
        }

    def _needs_bald(self, first: bool) -> bool:
        if BALD not in self.plan.strategies:
            return False
        return first or self.cell.strategy == BALD or (self.plan.scores == "all" and self.cell.strategy == "random")

    def _train(self, state: StudyState, number: int, items: Sequence[Item]) -> dict[str, Any]:
        """Run a round and note what it did."""
        report = run_round(
            items,
            [self.dataset.item("pool", image) for image in self._unlabelled([item.id for item in items])],
            state,
            self.settings,
            starting_weights=self._starting_weights,
            progress=lambda values: self.progress(number - self.plan.round_numbers[0], int(values["epoch"])),
            score=False,
            gate=self.plan.gate == "on",
        )
        return {
            "published": report.published,
            "reason": report.reason,
            "validation_dice": report.metric,
            "trained_on": report.trained_on,
            "left_out": dict(report.left_out),
            "refinement": report.refinement.as_dict(),
            "iou": list(report.iou),
        }

    def _in_service(self, state: StudyState) -> LoadedPair:
        """The pair that a server would answer with: the published one, else the starting weights."""
        path = state.published if state.published.exists() else self._starting_weights
        if path is None:
            raise StudyError(
                f"Expected the first round of {self.cell.name} to give a model, got none: it diverged, or the gate "
                "held it back. Change --set."
            )
        return load_pair(path, self._torch_device)

    @property
    def _starting_weights(self) -> Path | None:
        path = self.folder / "starting_weights.pt"
        return path if path.exists() else None

    def _ranked(self, state_folder: Path, labelled: Sequence[str]) -> list[Query]:
        """The unlabelled pool in the order of the cell's strategy."""
        unlabelled = self._unlabelled(labelled)
        if not unlabelled:
            return []
        state = StudyState.open(state_folder, self.settings)
        loaded = self._in_service(state)
        if FEATURES in extras_for(self.cell.strategy):
            items = [self.dataset.item("pool", image) for image in sorted(self.dataset.frames["pool"])]
            store_features(items, loaded, state.features, self.settings, self._torch_device, frames=self._frames)
            state.features.prune(1, {loaded.digest})
        if self.cell.strategy == POWER:  # the scores of the first round are shared by all seeds, the draw is not
            by_layer = state.ledger.scores(loaded.digest, LAYER_ENTROPY)
            drawn = {
                image: power_score(score, image, self.cell.seed, loaded.digest) for image, score in by_layer.items()
            }
            state.ledger.put_scores(loaded.digest, {POWER: drawn})
        patients = {image: frame.patient for image, frame in self.dataset.frames["pool"].items()}
        pool = study_pool(state, loaded.digest, unlabelled, labelled, patients)
        return PLAYABLE[self.cell.strategy].rank(pool, query_generator(self.cell.seed, pool))

    def _former_teacher(self, state: StudyState, number: int) -> nn.Module | None:
        path = state.checkpoints / f"round-{number - 1:04d}.pt"
        if number == 1 and self._starting_weights is not None:
            path = self._starting_weights
        if not path.exists():
            return None
        former: LoadedPair = load_pair(path, self._torch_device)
        return former.shown

    def _labelled_item(self, image: str) -> Item:
        """The item with its label, drawn by the simulated readers; a label is the same whenever it is drawn."""
        path = self._work / "labels" / f"{image}.nii.gz"
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            exact = not self.plan.of_a_layer
            drawn = self.dataset.truth("pool", image) if exact else self.dataset.drawn_by(self._readers, image)
            with atomic_write(path) as file:
                file.write(_gzipped(drawn))
        return self.dataset.item("pool", image, path)

    def _unlabelled(self, labelled: Sequence[str]) -> list[str]:
        return sorted(self.dataset.frames["pool"].keys() - set(labelled))

    def _state(self, number: int) -> Path:
        return self._work / f"state-{number:02d}"

    def _finished_state(self, number: int) -> bool:
        return (self._state(number) / "finished").exists()

    @property
    def _work(self) -> Path:
        return self.folder / "work" / self.cell.name

    @cached_property
    def settings(self) -> Settings:
        """The settings of the rounds.

        Small frames (`--size`) are not blown up again: the working pixel becomes theirs where it is not set. Voxel and
        patch of volumes come from the pool where they are not set.
        """
        settings = self.plan.settings_of(self.cell, self.device)
        volumes = (self.dataset.image("pool", image) for image in sorted(self.dataset.frames["pool"]))
        settings = with_plan(settings, volumes, self.dataset.folder / "volume_plan.json")
        spacings = [frame.spacing_mm[1] for frame in self.dataset.frames["pool"].values() if frame.spacing_mm]
        if not self.plan.size or "working_spacing_mm" in self.plan.settings or not spacings:
            return settings
        return replace(settings, working_spacing_mm=float(np.clip(np.median(spacings), *_WORKING_MM)))

    @cached_property
    def _readers(self) -> Readers:
        return Readers(self.plan, self.cell.seed)

    @cached_property
    def _torch_device(self) -> torch.device:
        return choose_device(self.settings.device)

    @cached_property
    def _frames(self) -> WorkingFrames:
        return WorkingFrames(self.settings)

    @cached_property
    def _test_frames(self) -> WorkingFrames:
        return WorkingFrames(self.settings)


def _gzipped(label: NDArray[np.uint8]) -> bytes:
    return gzip.compress(nib.Nifti1Image(label, np.eye(4)).to_bytes(), compresslevel=6, mtime=0)


def _dump(record: dict[str, Any]) -> bytes:
    return json.dumps(_plain(record), indent=1, allow_nan=False).encode()


def _plain(value: Any) -> Any:  # noqa: ANN401 - any JSON value
    """JSON has no NaN and no infinity: both become None."""
    if isinstance(value, dict):
        return {key: _plain(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(entry) for entry in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _device_name(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else f"cpu, {torch.get_num_threads()} threads"
