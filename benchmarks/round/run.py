"""One round on the sample study with the default settings: how long, how much memory, where the time goes.

    python benchmarks/round/run.py

Seconds depend on the machine; the shares and the ratio of both networks to one hardly do.
"""

import csv
import json
import resource
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "apps" / "sequal"))

import torch

import sequal.learning.training.round as round_module
import sequal.learning.training.train as train_module
from sequal.learning.trainer import PairTrainer
from sequal.learning.training.judging import LabelJudges
from sequal.learning.training.round_length import with_steps
from sequal.settings import Settings
from sequal.study.items import Item
from sequal.study.state import StudyState

ROOT = Path(__file__).resolve().parents[2]
STUDY = ROOT / "sample-data"
HERE = Path(__file__).resolve().parent


def main() -> None:
    """Run the round and write `results.json`."""
    seconds: dict[str, float] = defaultdict(float)
    for owner, name, part in (
        (PairTrainer, "_iteration", "optimiser steps"),
        (LabelJudges, "look", "judging"),
        (train_module, "refine_labels", "fusion"),
        (round_module, "score_pool", "scoring of the pool"),
    ):
        setattr(owner, name, timed(getattr(owner, name), part, seconds))
    settings = Settings.from_conf({})
    labelled, unlabelled = items()
    with tempfile.TemporaryDirectory() as folder:
        state = StudyState.open(Path(folder), settings)
        start = time.perf_counter()
        report = round_module.run_round(
            labelled,
            unlabelled,
            state,
            settings,
            starting_weights=ROOT / "apps" / "sequal" / "model" / "pretrained_carotid.pt",
        )
        total = time.perf_counter() - start
    result = {
        "seconds": round(total, 1),
        "threads": torch.get_num_threads(),
        "steps": settings.epochs * with_steps(settings, report.trained_on).iterations_per_epoch,
        "share": {part: round(value / total, 2) for part, value in sorted(seconds.items())},
        "peak_memory_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
        "images": {"labelled": len(labelled), "scored": report.pld["scored"]},
    }
    (HERE / "results.json").write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps(result, indent=1))


def timed(function: Callable[..., Any], part: str, seconds: dict[str, float]) -> Callable[..., Any]:
    """The same function, its time added up under `part`."""

    def run(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - whatever the function takes and gives
        start = time.perf_counter()
        try:
            return function(*args, **kwargs)
        finally:
            seconds[part] += time.perf_counter() - start

    return run


def items() -> tuple[list[Item], list[Item]]:
    """Labelled and unlabelled images of the sample study."""
    with (STUDY / "patients.csv").open(newline="") as file:
        patients = {row["image"]: row["patient"] for row in csv.DictReader(file)}
    labelled, unlabelled = [], []
    for image, patient in sorted(patients.items()):
        label = STUDY / "labels" / "final" / f"{image}.nii.gz"
        item = Item(image, STUDY / f"{image}.nii.gz", label if label.exists() else None, patient)
        (labelled if label.exists() else unlabelled).append(item)
    return labelled, unlabelled


if __name__ == "__main__":
    main()
