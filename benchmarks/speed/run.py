"""What the app adds to the bare networks: scoring a pool, one inference, one training step, each as a ratio.

    python benchmarks/speed/run.py [--model carotid|volume] [--repeats 7] [--threads 1]

The app and the bare loop take turns in one process, so that what else the machine does falls on both; the median of the
ratios is written to `results.json`, that of volumes to `volumes.json`. `bare` is what nobody can leave out: for a pool
and for an inference two forward passes over the same working frames, in batches, and of a volume in the same windows;
for a step student and teacher forward, the same losses, backward, optimiser and moving average. The step has no error
branch, which the bare loop has not either.
"""

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(ROOT / "apps" / "sequal"))

from sequal.processor import wait_without_spinning  # noqa: E402

wait_without_spinning()

import torch  # noqa: E402
from monai.inferers import sliding_window_inference  # noqa: E402

from sequal.anatomy.models import model_of  # noqa: E402
from sequal.anatomy.phantom.volumes import BODY_LABELS  # noqa: E402
from sequal.experiments.volume_folder import make_volumes  # noqa: E402
from sequal.files.imaging import read_frame  # noqa: E402
from sequal.learning.batch import Batch  # noqa: E402
from sequal.learning.losses import SupervisedLoss, consistency_loss  # noqa: E402
from sequal.learning.methods.sequal import MeanTeacherPair, MeanTeacherTrainer  # noqa: E402
from sequal.learning.training.round_length import with_steps  # noqa: E402
from sequal.prediction import checkpoint_payload, load_pair, predict_image, score_items  # noqa: E402
from sequal.prediction.passes import FRAMES_AT_ONCE  # noqa: E402
from sequal.preparation.working_frames import WorkingFrames  # noqa: E402
from sequal.preparation.working_grid import frame_to_working  # noqa: E402
from sequal.settings import Settings  # noqa: E402
from sequal.study.items import Item  # noqa: E402
from sequal.study.state import save_checkpoint  # noqa: E402

CPU = torch.device("cpu")
WEIGHTS = ROOT / "apps" / "sequal" / "model" / "pretrained_carotid.pt"
POOL = 8


def main() -> None:
    """Time everything and write the results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--model", choices=("carotid", "volume"), default="carotid")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    results = {"threads": options.threads, "load": round(os.getloadavg()[0], 1), "repeats": options.repeats}
    with tempfile.TemporaryDirectory() as folder:
        # The step last: it leaves the pair in training mode, with other weights.
        for name, make in (carotid() if options.model == "carotid" else volume(Path(folder))).items():
            results[name] = ratio(*make(), options.repeats)
            print(name, results[name], flush=True)
    out = HERE / ("results.json" if options.model == "carotid" else "volumes.json")
    out.write_text(json.dumps(results, indent=1) + "\n")


def carotid() -> dict[str, Callable]:
    """Frames of the sample study, with the starting weights."""
    settings = with_steps(Settings.from_conf({"quality_weight": 0}), labels=10)
    loaded = load_pair(WEIGHTS, CPU)
    # One frame as often as there are images in the pool: neighbours of one size go through the networks together.
    path = min((ROOT / "sample-data").glob("*.nii.gz"))
    items = [Item(str(number), path) for number in range(POOL)]
    return {
        "pool": lambda: pool(items, loaded, settings),
        "infer": lambda: infer(path, loaded, settings),
        "step": lambda: step(loaded, settings),
    }


def volume(folder: Path) -> dict[str, Callable]:
    """Two simulated hearts that are larger than a window, with random weights."""
    make_volumes(folder, count=2, shape=(96, 96, 64))
    labels = ",".join(BODY_LABELS["heart"])
    settings = Settings.from_conf(
        {"models": "volume", "labels": labels, "volume_spacing": "1.5,1.5,2", "volume_patch": "64,64,48"}
        | {"quality_weight": 0}
    )
    settings = with_steps(settings, labels=10)
    shape = model_of(settings).shape
    pair = MeanTeacherPair.create(MeanTeacherPair.architectures_of(settings, shape), settings.ema_alpha)
    save_checkpoint(folder / "pair.pt", checkpoint_payload(pair, {}, "volume"))
    loaded = load_pair(folder / "pair.pt", CPU)
    items = [Item(path.name, path) for path in sorted(folder.glob("*.nii.gz"))]
    return {"pool": lambda: pool(items, loaded, settings), "step": lambda: step(loaded, settings)}


def pool(items, loaded, settings) -> tuple[Callable, Callable]:  # noqa: ANN001
    """Every score of some frames, which are read already, and two forward passes over the same."""
    frames = WorkingFrames(settings)
    grids = [frames.get(item).grid for item in items]
    padded = [grid.pad(frames.get(item).pixels.float()) for grid, item in zip(grids, items, strict=True)]
    pair = loaded.pair

    def ours() -> None:
        score_items(items, loaded, frames, settings, CPU, lambda *_: None)

    @torch.no_grad()
    def bare() -> None:
        if settings.models == "volume":
            for volume, grid in zip(padded, grids, strict=True):
                for network in (pair.teacher, pair.student):
                    sliding_window_inference(volume, grid.window, 1, network, overlap=0.5, mode="gaussian")
            return
        for start in range(0, len(padded), FRAMES_AT_ONCE):
            batch = torch.cat(padded[start : start + FRAMES_AT_ONCE])
            pair.teacher(batch), pair.student(batch)

    pair.eval()
    return ours, bare


def infer(path: Path, loaded, settings) -> tuple[Callable, Callable]:  # noqa: ANN001
    """Mask, scores and thickness of a frame that is read already, and the pair over it."""
    frame = read_frame(path)
    working = frame_to_working(frame, settings)
    padded, pair = working.grid.pad(working.pixels.float()), loaded.pair
    pair.eval()

    @torch.no_grad()
    def bare() -> None:
        pair.teacher(padded), pair.student(padded)

    # As the task `carotid` asks: the error branch speaks of empty masks alone.
    return lambda: predict_image(frame, loaded, settings, CPU, with_errors=False), bare


def step(loaded, settings) -> tuple[Callable, Callable]:  # noqa: ANN001
    """One step of the trainer, and the same computation written down."""
    rng = torch.Generator().manual_seed(0)
    model = model_of(settings)
    count = 3 if settings.models == "volume" else 4
    views = [torch.rand(count, 1, *model.patch, generator=rng) for _ in range(2)]
    label = torch.full((count, 1, *model.patch), 255, dtype=torch.uint8)
    label[:2] = 0
    label[:2, :, :, 30:40] = 1
    batch = Batch(views[0], views[1], label)
    trainer = MeanTeacherTrainer(loaded.pair, [batch], settings, CPU, prior=model.prior())
    pair, supervised = loaded.pair, SupervisedLoss(settings.dice_weight)
    optimizer = torch.optim.AdamW(pair.student.parameters(), lr=1e-6, fused=True)

    def bare() -> None:
        pair.train()
        optimizer.zero_grad(set_to_none=True)
        with torch.no_grad():
            teacher = pair.teacher(batch.other_view)
        student = pair.student(batch.view)
        torch.autograd.backward(supervised(student, label) + consistency_loss(student, teacher))
        optimizer.step()
        pair.after_step()

    return lambda: trainer.step(batch, 29), bare


def ratio(ours: Callable, bare: Callable, repeats: int) -> dict[str, float]:
    """Median of the ratios of neighbouring runs, on the clock and of the processor, and their spread."""
    ours(), bare()
    clock, processor, bare_ms = [], [], []
    for _ in range(repeats):
        (first, used), (second, bare_used) = timed(ours), timed(bare)
        clock.append(first / second)
        processor.append(used / bare_used)
        bare_ms.append(1000 * second)
    return {
        "ratio": round(statistics.median(processor), 3),
        "low": round(min(processor), 3),
        "high": round(max(processor), 3),
        "ratio_on_the_clock": round(statistics.median(clock), 3),
        "bare_ms": round(statistics.median(bare_ms), 1),
    }


def timed(action: Callable) -> tuple[float, float]:
    begin, used = time.perf_counter(), time.process_time()
    action()
    return time.perf_counter() - begin, time.process_time() - used


if __name__ == "__main__":
    main()
