"""How well a predicted Dice and other scores tell good masks from bad ones, and what the error branch costs.

    python benchmarks/quality/run.py OUT --carotid FOLDER     frames, scores and figures
    python benchmarks/quality/run.py OUT --cost               time beside an inference and a step

See README.md beside this file.
"""

import argparse
import json
import math
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "apps" / "sequal"))
sys.path.insert(0, str(Path(__file__).resolve().parent))

import nibabel as nib
import numpy as np
import torch
from cost import measure_cost
from numpy.typing import NDArray

from sequal.acquisition import score_all
from sequal.anatomy.measurement import label_dice
from sequal.anatomy.models.carotid import to_working
from sequal.anatomy.phantom import HOSPITAL, draw_hospital_frames, simulate_frame, simulate_hospital_frame
from sequal.experiments.failure_detection import (
    FAILURE,
    aurc,
    e_aurc,
    error_map_dice,
    failures_first,
    mean_absolute_error,
    pearson,
    spearman,
)
from sequal.files.imaging import Frame, read_frame
from sequal.labels import IGNORE
from sequal.learning.training.phantom_evaluation import as_frame
from sequal.prediction import LoadedPair, dice_to_expect, expected_dice, load_pair, predict_frame
from sequal.prediction.mc_dropout import dropout_dice, pairwise_dice
from sequal.settings import Settings

MODEL = Path(__file__).resolve().parents[2] / "apps" / "sequal" / "model"
CPU = torch.device("cpu")
#: Of the phantoms that are drawn as in training; no training has it.
DRAWN_SEED = 5_000_011
HOSPITAL_SEED = 0
#: From which on a map says that there is an error; of each map the best one on the drawn phantoms is taken for all.
THRESHOLDS = (0.5, 0.4, 0.3, 0.2, 0.1)
RESAMPLES = 150
#: Scores that are meant as a Dice.
A_DICE = ("told", "predicted_dice", "confidence", "expected_dice", "dropout_dice", "pair_dice")


class Case(NamedTuple):
    """A frame with its truth, uint8 with 255 where nobody traced, and its patient."""

    frame: Frame
    truth: NDArray[np.uint8]
    patient: str


def main() -> None:
    """Measure, and write OUT/results.json."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, help="folder of the results")
    parser.add_argument("--weights", type=Path, action="append", help="of one network, each with a branch of its own")
    parser.add_argument("--carotid", type=Path, help="folder with study/ and truth/ of real frames")
    parser.add_argument("--frames", type=int, default=100, help="phantoms of each kind")
    parser.add_argument("--cost", action="store_true", help="measure time instead")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    if options.cost:
        found: dict[str, Any] = measure_cost()
        (options.out / "cost.json").write_text(json.dumps(found, indent=1))
        print(json.dumps(found, indent=1))
        return
    every = [load_pair(path, CPU) for path in options.weights or [MODEL / "pretrained_carotid.pt"]]
    sets: dict[str, Callable[[], Iterator[Case]]] = {
        "phantoms as in training": lambda: _drawn(options.frames),
        "unseen hospital": lambda: _hospital(options.frames),
    }
    if options.carotid:
        sets["real frames"] = lambda: _real(options.carotid)
    records = {name: [_look(case, every) for case in cases()] for name, cases in sets.items()}
    (options.out / "frames.json").write_text(json.dumps(records))
    results = _figures(records, len(every))
    (options.out / "results.json").write_text(json.dumps(results, indent=1))
    print(_tables(results))


def _drawn(count: int) -> Iterator[Case]:
    for index in range(count):
        phantom = simulate_frame(np.random.default_rng([DRAWN_SEED, index]))
        yield Case(as_frame(phantom), phantom.mask[:, :, None], str(index))


def _hospital(count: int) -> Iterator[Case]:
    for which in draw_hospital_frames(HOSPITAL, HOSPITAL_SEED, 0, count):
        phantom = simulate_hospital_frame(HOSPITAL, HOSPITAL_SEED, which)
        yield Case(as_frame(phantom), phantom.mask[:, :, None], str(which.patient))


def _real(folder: Path) -> Iterator[Case]:
    lines = (folder / "study" / "patients.csv").read_text().split()[1:]
    patients = dict(line.split(",") for line in lines)
    for path in sorted((folder / "study").glob("*.nii.gz")):
        truth = np.asanyarray(nib.load(folder / "truth" / path.name).dataobj).astype(np.uint8)
        frame = read_frame(path)
        yield Case(frame, truth.reshape(frame.pixels.shape), patients[path.name.removesuffix(".nii.gz")])


def _look(case: Case, every: Sequence[LoadedPair]) -> dict[str, Any]:
    """True Dice of the mask that is shown, every score of it (higher is better), and Dice of the maps by threshold."""
    settings, loaded = Settings(), every[0]
    found = [predict_frame(case.frame, one, settings, CPU) for one in every]
    mask, probability, known = found[0].mask, found[0].probability, case.truth != IGNORE
    working = to_working(case.frame, settings)
    looked = loaded.look(working.pixels, working.grid, CPU)
    scores = {name: -float(value) for name, value in score_all(replace_wrong(loaded, looked, settings)).items()}
    scores.pop("sqa")
    pair = torch.stack([looked.log_p[network].max(dim=1).indices[0] > 0 for network in loaded.networks[1:]])
    expected = expected_dice(probability)
    scores |= {
        "expected_dice": 0.0 if expected is None else expected,
        "confidence": found[0].confidence or 0.0,  # an empty mask has none: it is looked at first
        "pair_dice": float(pairwise_dice(pair)),
        "dropout_dice": float(dropout_dice(loaded.shown, working.pixels, working.grid, CPU, 0)[0]),
    }
    wrong = (mask != case.truth)[known]
    maps = {"doubt": np.minimum(probability, 1 - probability)[known]}
    branches = [one.quality for one in found]
    for number, quality in enumerate(branches):
        if quality is None or quality.predicted_dice is None:
            raise SystemExit(
                "Expected weights with an error branch, got some without. Run cli.py pretrain --branch-of."
            )
        if number == 0:
            scores["told"] = float(dice_to_expect(found[0].confidence, quality) or 0.0)
        scores[f"predicted_dice {number}"] = quality.predicted_dice
        maps[f"branch {number}"] = quality.error[known]
    return {
        "patient": case.patient,
        "dice": label_dice(mask, case.truth),
        "scores": scores,
        "maps": {name: [error_map_dice(values, wrong, t) for t in THRESHOLDS] for name, values in maps.items()},
    }


def replace_wrong(loaded: LoadedPair, looked: Any, settings: Settings) -> Any:  # noqa: ANN401 - as `LoadedPair.seen`
    """What scores may look at; they do not need the branch here."""
    return replace(loaded.seen(looked, settings), wrong=None)


def _figures(records: Mapping[str, list[dict[str, Any]]], branches: int) -> dict[str, Any]:
    results: dict[str, Any] = {}
    best: dict[str, int] = {}
    for name, frames in records.items():
        dice = np.array([frame["dice"] for frame in frames])
        by_patient = [[i for i, f in enumerate(frames) if f["patient"] == p] for p in {f["patient"]: 0 for f in frames}]
        table = {}
        for score in [n for n in frames[0]["scores"] if not n.startswith("predicted_dice")]:
            table[score] = _judge(dice, [np.array([f["scores"][score] for f in frames])], by_patient, score)
        of_branches = [np.array([f["scores"][f"predicted_dice {n}"] for f in frames]) for n in range(branches)]
        table["predicted_dice"] = _judge(dice, of_branches, by_patient, "predicted_dice")
        maps = {}
        for kind in ("branch", "doubt"):
            names = [n for n in frames[0]["maps"] if n.startswith(kind)]
            means = np.array([[_mean(f["maps"][n][t] for f in frames) for t in range(len(THRESHOLDS))] for n in names])
            at = best.setdefault(kind, int(means.mean(axis=0).argmax()))
            maps[kind] = {"threshold": THRESHOLDS[at], "dice": means[:, at].mean(), "by_seed": means[:, at].tolist()}
        results[name] = {
            "frames": len(frames),
            "mean_dice": float(dice.mean()),
            "failures": int((dice < FAILURE).sum()),
            "scores": table,
            "error_map": maps,
        }
    return results


def _mean(values: Iterator[float | None]) -> float:
    found = [value for value in values if value is not None]
    return float(np.mean(found)) if found else math.nan


def _judge(
    dice: NDArray[np.float64], qualities: list[NDArray[np.float64]], by_patient: list[list[int]], name: str
) -> dict[str, Any]:
    """Each figure, mean over branches, with the 95 % bootstrap interval over patients."""
    measures: dict[str, Callable[..., float]] = {
        "aurc": aurc,
        "e_aurc": e_aurc,
        "pearson": pearson,
        "spearman": spearman,
        "failures_first": failures_first,
    }
    if name in A_DICE:
        measures["mae"] = mean_absolute_error
    rng = np.random.default_rng(0)
    draws = []
    for _ in range(RESAMPLES):
        drawn = rng.integers(len(by_patient), size=len(by_patient))
        draws.append(np.concatenate([by_patient[i] for i in drawn]))
    found = {}
    for key, measure in measures.items():
        seeds = [measure(dice, quality) for quality in qualities]
        resampled = [np.mean([measure(dice[draw], quality[draw]) for quality in qualities]) for draw in draws]
        low, high = np.nanpercentile(resampled, [2.5, 97.5])
        found[key] = {"value": float(np.mean(seeds)), "low": float(low), "high": float(high), "by_seed": seeds}
    return found


def _tables(results: Mapping[str, Any]) -> str:
    keys = ("aurc", "e_aurc", "spearman", "pearson", "mae", "failures_first")
    lines = []
    for name, found in results.items():
        lines += [
            f"\n{name}: {found['frames']} frames, mean Dice {found['mean_dice']:.3f}, {found['failures']} failures; "
            + "; ".join(
                f"map of {kind} {one['dice']:.3f} (from {one['threshold']})" for kind, one in found["error_map"].items()
            ),
            "",
            "| score | " + " | ".join(keys) + " |",
            "| --- |" + " --- |" * len(keys),
        ]
        for score, figures in sorted(found["scores"].items(), key=lambda entry: entry[1]["aurc"]["value"]):
            cells = [
                "–" if key not in figures else "{value:.3f} ({low:.3f} to {high:.3f})".format(**figures[key])
                for key in keys
            ]
            lines.append(f"| `{score}` | " + " | ".join(cells) + " |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
