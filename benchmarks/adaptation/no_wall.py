"""Masks on frames that show no far wall, and what the rules against them cost where there is one.

    python benchmarks/adaptation/no_wall.py OUT --frames CAROTID --muscle APONEUROSIS

CAROTID has `study/` with `patients.csv`, and `truth/`; APONEUROSIS has `images/`. The same call goes on where it was
stopped. See no_wall.md beside this file.
"""

import argparse
import json
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "apps" / "sequal"))
sys.path.insert(0, str(Path(__file__).resolve().parent))

import numpy as np
import torch
from no_wall_frames import Carotids, Case, Cases, sets
from scipy.stats import binomtest

from sequal.anatomy.layer import pieces
from sequal.anatomy.measurement import label_dice
from sequal.anatomy.models import model_of
from sequal.experiments.statistics import t_interval
from sequal.learning.training import run_round
from sequal.prediction import LoadedPair, load_pair, predict
from sequal.settings import Settings
from sequal.study.state import StudyState, atomic_write, file_digest

WEIGHTS: Final = Path(__file__).resolve().parents[2] / "apps" / "sequal" / "model" / "pretrained_carotid.pt"
SHIPPED: Final = "shipped"
CPU: Final = torch.device("cpu")
#: Of the rules with their numbers: what others made is made again.
RULE: Final = file_digest(Path(pieces.__file__))
HEAD: Final = """\
| frames | labels | number | masks without the rules | with them | Dice without | Dice with them | Dice of masks lost |
| --- | --- | --- | --- | --- | --- | --- | --- |"""
RULES: Final = ("without", "with")
Record = dict[str, Any]


def play(out: Path, carotids: Carotids, seed: int, labels: Sequence[int]) -> dict[str, Path]:
    """The model in service after each round of a seed; a round goes on from the one before.

    Args:
        out: where the states are kept.
        carotids: whose labels are learnt.
        seed: of sessions, labels and training.
        labels: how many each round learns from, rising.
    """
    settings, pool = Settings(seed=seed, device="cpu"), carotids.split(seed)[0]
    served: dict[str, Path] = {}
    former: Path | None = None
    for count in labels:
        name = f"{seed}-{count}"
        folder = out / "states" / name
        finished = folder / "finished"
        if not (finished.exists() and finished.read_text() == RULE):
            shutil.rmtree(folder, ignore_errors=True)  # of a round that was stopped, or that noted for another rule
            if former is not None:
                shutil.copytree(former, folder, ignore=shutil.ignore_patterns("events", "finished"))
            report = run_round(
                [carotids.item(image, labelled=True) for image in pool[:count]],
                [carotids.item(image, labelled=False) for image in pool[count:]],
                StudyState.open(folder, settings),
                settings,
                starting_weights=WEIGHTS,
                score=False,
            )
            print(f"seed {seed}, {count} labels: {report.reason}", file=sys.stderr)
            finished.write_text(RULE)
        published = StudyState.open(folder, settings).published
        served[name], former = published if published.exists() else WEIGHTS, folder
    return served


def judge(out: Path, name: str, cases: Cases, models: Mapping[str, Path]) -> dict[str, list[Record]]:
    """What each model does on each frame of a set; judged again by another rule, or of another checkpoint."""
    files = {model: out / "records" / f"{model} {name}.json" for model in models}
    made_by = {model: {"rule": RULE, "checkpoint": file_digest(path)} for model, path in models.items()}
    kept = {model: json.loads(file.read_text()) for model, file in files.items() if file.exists()}
    found = {model: told["frames"] for model, told in kept.items() if told["made_by"] == made_by[model]}
    loaded = {model: load_pair(path, CPU) for model, path in models.items() if model not in found}
    new: dict[str, list[Record]] = {model: [] for model in loaded}
    for case in cases() if loaded else ():
        for model, rows in new.items():
            rows.append(look(case, loaded[model]))
    for model, rows in new.items():
        with atomic_write(files[model]) as file:
            file.write(json.dumps({"made_by": made_by[model], "frames": rows}).encode())
    return found | new


def look(case: Case, loaded: LoadedPair) -> Record:
    """Whether a frame gets a mask, with the rules and without them, and the Dice of both."""
    model = model_of(Settings())
    raw = predict(loaded.shown, model.prepare(case.frame), model, CPU)
    record: Record = {"name": case.name}
    for name, surroundings in zip(RULES, ({}, loaded.surroundings), strict=True):
        classes = model.clean(raw, case.frame, surroundings).classes
        dice = None if case.truth is None else label_dice(classes, case.truth)
        record[name] = {"mask": bool(classes.any()), "dice": dice}
    return record


def cells(of_seeds: Sequence[Sequence[Record]]) -> str:
    """The end of a row: of one set after one number of labels, the records of each seed."""
    every = [record for records in of_seeds for record in records]
    row = [str(len(every)), *(share([[one[rule]["mask"] for one in seed] for seed in of_seeds]) for rule in RULES)]
    if every[0]["with"]["dice"] is None:
        return " | ".join([*row, "–", "–", "–"])
    row += [f"{np.mean([one[rule]['dice'] for one in every]):.3f}" for rule in RULES]
    lost = sorted(one["without"]["dice"] for one in every if one["without"]["mask"] and not one["with"]["mask"])
    return " | ".join([*row, ", ".join(f"{dice:.2f}" for dice in lost) or "none lost"])


def share(of_seeds: Sequence[Sequence[bool]]) -> str:
    """Part of the frames with a mask; the interval is Student's over seeds, of one seed Wilson's over frames."""
    if len(of_seeds) == 1:
        (masks,) = of_seeds
        wilson = binomtest(sum(masks), len(masks)).proportion_ci(method="wilson")
        mean, low, high = float(np.mean(masks)), wilson.low, wilson.high
    else:
        student = t_interval([float(np.mean(masks)) for masks in of_seeds])
        mean, low, high = (student[key] or 0.0 for key in ("mean", "low", "high"))
    return f"{mean:.1%} ({max(low, 0):.1%} to {min(high, 1):.1%})"


def main() -> None:
    """Play and judge what is not there yet, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, help="folder of the results")
    parser.add_argument("--frames", type=Path, required=True, help="folder with study/ and truth/ of carotid frames")
    parser.add_argument("--muscle", type=Path, required=True, help="folder with images/ of muscle")
    parser.add_argument("--labels", default="0,6,10", help="numbers of real labels, rising; 0: the shipped weights")
    parser.add_argument("--seeds", default="0,1,2", help="of sessions, labels and training")
    parser.add_argument("--simulation-seed", type=int, default=0, help="of the simulated frames")
    options = parser.parse_args()
    (options.out / "records").mkdir(parents=True, exist_ok=True)
    labels, seeds = ([int(part) for part in text.split(",")] for text in (options.labels, options.seeds))
    carotids = Carotids.of(options.frames)
    models = {SHIPPED: WEIGHTS} if 0 in labels else {}
    for seed in seeds:
        models |= play(options.out, carotids, seed, [count for count in labels if count])
    print(HEAD)
    for name, cases in sets(carotids, options.muscle, options.simulation_seed).items():
        found = judge(options.out, name, cases, models)
        for count in labels:
            of_seeds = [found[f"{seed}-{count}"] for seed in seeds] if count else [found[SHIPPED]]
            if name == "real" and count:  # only sessions that gave no label judge
                of_seeds = [
                    [record for record in records if record["name"] in carotids.split(seed)[1]]
                    for seed, records in zip(seeds, of_seeds, strict=True)
                ]
            print(f"| {name} | {count} | {cells(of_seeds)} |", flush=True)


if __name__ == "__main__":
    main()
