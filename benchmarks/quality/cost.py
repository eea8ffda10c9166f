"""What the error branch costs, as a part of an inference and of a training step without it."""

import statistics
import time
from collections.abc import Callable
from dataclasses import replace
from itertools import repeat
from pathlib import Path

import numpy as np
import torch

from sequal.anatomy.model import Model
from sequal.anatomy.models import model_of
from sequal.anatomy.phantom import simulate_frame
from sequal.files.imaging import Calibration, Frame
from sequal.learning.batch import Batch
from sequal.learning.methods import METHODS
from sequal.learning.networks import NetworkPair
from sequal.learning.quality.branched import Branched, new_branch
from sequal.learning.training.phantom_evaluation import as_frame
from sequal.prediction import LoadedPair, predict_image
from sequal.settings import Settings

__all__ = ["measure_cost"]

CPU = torch.device("cpu")
#: Ratios of which the median is taken.
INFERENCES, STEPS = 11, 5
CONFIGURATIONS = {
    "carotid, sequal": {"method": "sequal"},
    "carotid, cross": {"method": "cross"},
    "volume, sequal": {"method": "sequal", "models": "volume", "labels": "one,two"},
    "volume, cross": {"method": "cross", "models": "volume", "labels": "one,two"},
}
VOLUME = {"volume_spacing": "1,1,1", "volume_patch": "48,48,48"}


def measure_cost() -> dict[str, dict[str, float]]:
    """Median of the ratios of processor time, with the branch and without, one thread, taken in turns."""
    torch.set_num_threads(1)
    return {
        name: {"inference": _inference(Settings.from_conf(_conf(given))), "step": _step(given)}
        for name, given in CONFIGURATIONS.items()
    }


def _conf(given: dict[str, str]) -> dict[str, str]:
    return {**given, "device": "cpu", **(VOLUME if "models" in given else {})}


def _pair(settings: Settings, model: Model) -> NetworkPair:
    torch.manual_seed(0)
    method = METHODS[settings.method]
    return method.pair.create(method.pair.architectures_of(settings, model.shape), settings.ema_alpha)


def _inference(settings: Settings) -> float:
    model = model_of(settings)
    pair = _pair(settings, model).eval()
    plain = LoadedPair(pair, *pair.compared, settings.model, "", {})
    pair.branch = new_branch(pair, 0)
    branched = replace(plain, branched=Branched.shown(pair))
    frame = as_frame(simulate_frame(np.random.default_rng(1)))
    if settings.model == "volume":
        voxels = np.random.default_rng(0).normal(100, 30, (64, 48, 48)).astype(np.float32)
        frame = Frame(voxels, np.eye(4), voxels.shape, Calibration(None, ""), Path("v.nii.gz"))
    return _ratio(
        lambda: predict_image(frame, branched, settings, CPU),
        lambda: predict_image(frame, plain, settings, CPU),
        INFERENCES,
    )


def _step(given: dict[str, str]) -> float:
    runs = []
    for weight in ("1", "0"):
        conf = {**_conf(given), "epochs": "1", "iterations_per_epoch": "1", "quality_weight": weight}
        settings = Settings.from_conf(conf)
        model = model_of(settings)
        batch = _batch(model, settings)
        pair = _pair(settings, model)
        pair.freeze_statistics()
        trainer = METHODS[settings.method].trainer(pair, repeat(batch), settings, CPU, prior=model.prior())
        runs.append(lambda trainer=trainer: trainer.run())
    return _ratio(*runs, STEPS)


def _batch(model: Model, settings: Settings) -> Batch:
    """Two labelled patches, one without a label and, of frames, one of a simulated frame, as in a round."""
    simulated = settings.rehearsal if settings.model == "carotid" else 0
    count = settings.batch_labelled + settings.batch_unlabelled + simulated
    label = torch.zeros(count, 1, *model.patch, dtype=torch.uint8)
    label[:, :, :, model.patch[1] // 2 : model.patch[1] // 2 + 8] = 1
    label[settings.batch_labelled] = 255
    view = torch.rand(label.shape)
    return Batch(view, view, label, simulated)


def _ratio(one: Callable[[], object], other: Callable[[], object], times: int) -> float:
    one()
    other()
    return round(statistics.median(_seconds(one) / _seconds(other) for _ in range(times)), 3)


def _seconds(work: Callable[[], object]) -> float:
    began = time.process_time()
    work()
    return time.process_time() - began
