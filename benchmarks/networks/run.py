"""Compare the registered networks: Dice on unseen phantoms after the same training, time and size.

    nice python benchmarks/networks/run.py --frames 300 --steps 400 --cache /tmp/phantoms

Every network sees the same frames in the same order. Times are ratios to the default network in this one run.
"""

import argparse
import json
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "apps" / "sequal"))

import numpy as np
import torch

from lib.inference import load_pair, predict_frame
from lib.phantom import simulate_frame
from lib.settings import Settings
from lib.training.phantom_evaluation import as_frame, evaluate_on_phantoms
from lib.training.pretrain import phantom_sample, pretrain

NETWORKS = ("dynunet", "unet", "basic_unet", "attention_unet", "segresnet", "unetplusplus")
HERE = Path(__file__).resolve().parent


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, default=300)
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--test", type=int, default=60)
    parser.add_argument("--cache", type=Path, required=True, help="folder for simulated frames and checkpoints")
    parser.add_argument("--out", type=Path, default=HERE)
    args = parser.parse_args()
    args.cache.mkdir(parents=True, exist_ok=True)
    device = torch.device("cpu")
    base = Settings.from_conf({})
    samples = [phantom_sample(0, i, base, args.cache) for i in range(args.frames)]
    test = [simulate_frame(np.random.default_rng([1, i])) for i in range(args.test)]
    rows = []
    for name in NETWORKS:
        settings = Settings.from_conf(
            {
                "network": name,
                "epochs": "1",
                "iterations_per_epoch": str(args.steps),
                "batch_labelled": "4",
                "learning_rate": "0.002",
                "ema_alpha": "0.99",
                "consistency_weight": "0",
            }
        )
        checkpoint = args.cache / f"{name}.pt"
        start = time.perf_counter()
        pretrain(samples, checkpoint, settings, meta={}, device=device)
        trained = time.perf_counter()
        loaded = load_pair(checkpoint, device)
        metrics = evaluate_on_phantoms(test, loaded, settings, device)
        frame = as_frame(test[0])
        predict_frame(frame, loaded, settings, device)
        predicting = time.perf_counter()
        for phantom in test[:10]:
            predict_frame(as_frame(phantom), loaded, settings, device)
        rows.append(
            {
                "network": name,
                "parameters": sum(p.numel() for p in loaded.pair.student.parameters()),
                "train_s_per_step": (trained - start) / args.steps,
                "frame_s": (time.perf_counter() - predicting) / 10,
                **metrics.as_dict(),
            }
        )
        print(json.dumps(rows[-1]), flush=True)
        write(rows, args)


def write(rows: list[dict], args: argparse.Namespace) -> None:
    default = rows[0]
    lines = [
        f"{args.frames} training phantoms, {args.steps} steps of 4 patches, {args.test} unseen phantoms, two cores.",
        "",
        "| network | parameters | training step | frame (both networks) | Dice mean / median | IMT error mm | no mask |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for row in rows:
        lines.append(
            f"| {row['network']} | {row['parameters'] / 1e6:.2f} M "
            f"| × {row['train_s_per_step'] / default['train_s_per_step']:.2f} "
            f"| × {row['frame_s'] / default['frame_s']:.2f} "
            f"| {row['dice_mean']:.3f} / {row['dice_median']:.3f} | {row['imt_mae_mm']:.3f} | {row['empty']:.0%} |"
        )
    (args.out / "table.md").write_text("\n".join(lines) + "\n")
    (args.out / "results.json").write_text(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
