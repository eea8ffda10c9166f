"""Compare the registered networks at equal cost: each trains for the same processor time on the same phantoms.

    nice python benchmarks/networks/run.py --seconds 240 --cache build/phantoms

The default network must be good after what a laptop can afford, so time is what is held equal, not steps. One thread;
processor time, so that other programs on the machine do not count. Ratios are to the default network of this one run.
"""

import argparse
import json
import sys
import time
from itertools import cycle, islice
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "apps" / "sequal"))

import numpy as np
import torch

from sequal.anatomy.phantom import PhantomFrame, simulate_frame
from sequal.learning.batch import Batch
from sequal.learning.training.phantom_evaluation import as_frame, evaluate_on_phantoms
from sequal.learning.training.pretrain import phantom_batches, pretrain
from sequal.prediction import LoadedPair, load_pair, predict_image
from sequal.settings import Settings

NETWORKS = ("unet", "dynunet", "basic_unet", "segresnet")
HERE = Path(__file__).resolve().parent
CPU = torch.device("cpu")


def main() -> None:
    """Read the command line, run every network, write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=240.0, help="processor time each network trains for")
    parser.add_argument("--batches", type=int, default=300, help="different ones; a training goes through them again")
    parser.add_argument("--test", type=int, default=40)
    parser.add_argument("--cache", type=Path, required=True, help="folder for checkpoints")
    parser.add_argument("--out", type=Path, default=HERE)
    args = parser.parse_args()
    torch.set_num_threads(1)
    args.cache.mkdir(parents=True, exist_ok=True)
    batches = list(islice(phantom_batches(4, 0, Settings.from_conf({})), args.batches))
    test = [simulate_frame(np.random.default_rng([1, i])) for i in range(args.test)]
    rows: list[dict[str, float | str]] = []
    for name in NETWORKS:
        rows.append(run(name, batches, test, args.seconds, args.cache / f"{name}.pt"))
        print(json.dumps(rows[-1]), flush=True)
        write(rows, args)


def run(
    name: str, batches: list[Batch], test: list[PhantomFrame], seconds: float, checkpoint: Path
) -> dict[str, float | str]:
    """Train one network for `seconds` and judge it on phantoms it never saw."""
    step_s = train(name, batches, 4, checkpoint)
    steps = max(10, int(seconds / step_s))
    train(name, batches, steps, checkpoint)
    loaded = load_pair(checkpoint, CPU)
    settings = settings_of(name, steps)
    return {
        "network": name,
        "parameters": sum(p.numel() for p in loaded.pair.student.parameters()),
        "steps": steps,
        "step_s": step_s,
        "frame_s": frame_time(loaded, test[:8], settings),
        **evaluate_on_phantoms(test, loaded, settings, CPU).as_dict(),
    }


def settings_of(name: str, steps: int) -> Settings:
    """The same optimiser for every network."""
    return Settings.from_conf(
        {
            "network": name,
            "epochs": 1,
            "iterations_per_epoch": steps,
            "batch_labelled": 4,
            "learning_rate": 0.002,
            "ema_alpha": 0.98,
            "consistency_weight": 0,
        }
    )


def train(name: str, batches: list[Batch], steps: int, checkpoint: Path) -> float:
    """Train for `steps`; returns processor seconds a step."""
    start = time.process_time()
    pretrain(cycle(batches), checkpoint, settings_of(name, steps), meta={}, device=CPU)
    return (time.process_time() - start) / steps


def frame_time(loaded: LoadedPair, frames: list[PhantomFrame], settings: Settings) -> float:
    """Processor seconds for one frame, both networks, measurement included."""
    predict_image(as_frame(frames[0]), loaded, settings, CPU)
    start = time.process_time()
    for phantom in frames:
        predict_image(as_frame(phantom), loaded, settings, CPU)
    return (time.process_time() - start) / len(frames)


def write(rows: list[dict[str, float | str]], args: argparse.Namespace) -> None:
    """The table and its numbers."""
    default = rows[0]
    lines = [
        f"{args.seconds:.0f} s of processor time each, {args.batches} batches of four patches of phantoms, "
        f"{args.test} unseen phantoms, one thread.",
        "",
        "| network | parameters | steps | step | frame | Dice mean / median | IMT error mm | no mask |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    lines += [
        f"| {row['network']} | {float(row['parameters']) / 1e6:.2f} M | {row['steps']} "
        f"| × {float(row['step_s']) / float(default['step_s']):.1f} "
        f"| × {float(row['frame_s']) / float(default['frame_s']):.1f} "
        f"| {row['dice_mean']:.3f} / {row['dice_median']:.3f} | {row['imt_mae_mm']:.3f} | {row['empty']:.0%} |"
        for row in rows
    ]
    (args.out / "table.md").write_text("\n".join(lines) + "\n")
    (args.out / "results.json").write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
