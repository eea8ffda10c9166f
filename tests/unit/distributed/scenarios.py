"""What one process and two do alike: trainings of a few steps, and a scoring. Run by torchrun, or imported."""

import sys
from functools import partial
from itertools import repeat
from pathlib import Path

import torch
from ignite.engine import Events
from torch import nn

from sequal.distributed import in_parts, run_as_one
from sequal.learning.batch import Batch
from sequal.learning.methods import METHODS
from sequal.learning.networks import Architecture, registry, snapshot
from sequal.prediction import load_pair, score_items
from sequal.preparation.working_frames import WorkingFrames
from sequal.study.items import Item
from unit.experiments.miniature import SETTINGS, options, results
from unit.experiments.miniature import play as play_experiment
from unit.synthetic_study import settings

CPU = torch.device("cpu")
COMMON = {"epochs": 1, "iterations_per_epoch": 3, "learning_rate": 0.002, "optimizer": "sgd"}
TRAININGS = {
    "student and teacher": {"method": "sequal"},
    "an error branch that teaches the network": {"method": "sequal", "quality_detach": False},
    "statistics that are frozen": {"method": "sequal", "frozen": True},
    "layers that are not used": {"method": "sequal", "network": "unetplusplus"},
    "two networks": {"method": "cross", "contrast_weight": 1.0, "cross_weight": 1.0, "entropy_quantile": 0.97},
    "streams apart": {"method": "cross", "network": "basic_unet", "contrast_weight": 0.0, "apart": True},
    "one patch before two": {"method": "cross", "contrast_weight": 0.0, "apart": True, "labelled": 1},
}


def batch(labelled=2):
    """Three patches, so that two processes have two and one; the last ones have no label."""
    generator = torch.Generator().manual_seed(0)
    views = [torch.rand(3, 1, 64, 64, generator=generator) for _ in range(2)]
    label = (views[0] > 0.6).to(torch.uint8)
    label[labelled:] = 255
    return Batch(*views, label)


def train(method, apart=False, frozen=False, labelled=2, **changes):
    """The outputs of the steps, and what the networks say of an image afterwards."""
    values = settings(**COMMON, method=method, **changes)
    with torch.random.fork_rng():
        torch.manual_seed(1)
        shapes = METHODS[method].pair.architectures_of(values, Architecture("unet", filters=4))
        pair = METHODS[method].pair.create(shapes, values.ema_alpha)
        if frozen:
            pair.freeze_statistics()
        trainer, outputs = METHODS[method].trainer(pair, repeat(batch(labelled)), values, CPU, streams_apart=apart), []
        trainer.add_event_handler(Events.ITERATION_COMPLETED, lambda engine: outputs.append(engine.state.output))
        trainer.run()
    pair.eval()
    with torch.no_grad():
        said = torch.stack([network(batch().view).softmax(dim=1) for network in pair.members.values()])
    weights = pair.weights() if pair.branch is None else {**pair.weights(), "branch": snapshot(pair.branch)}
    return {"outputs": outputs, "said": said, "weights": weights}


def score(folder):
    """The scores, and why an image has none."""
    images = [Item(path.name.split(".")[0], path) for path in sorted((folder / "pool").iterdir())]
    frames, order = WorkingFrames(settings()), []
    loaded = load_pair(folder / "checkpoint.pt", CPU)
    found = score_items(images, loaded, frames, settings(), CPU, lambda image, _: order.append(image))
    return {"scores": found, "order": order, "unreadable": frames.unreadable}


def simulate(folder, name):
    """What an experiment of one round writes down."""
    given = options({part: str(folder / part) for part in ("images", "masks")}, rounds=1, strategies="entropy")
    steps = {"iterations_per_epoch": 3, "learning_rate": 0.01}  # else most pixels are still near 0.5
    play_experiment(folder / name, {**given, "settings": {**SETTINGS, "batch_labelled": 2, **steps}})
    return results(folder / name)


def play(folder):
    """Every scenario, by name."""
    return {
        "scores": score(folder),
        "apart": in_parts(lambda patches: (patches + 1,), torch.zeros(4))[0],
        "experiment": simulate(folder, "of_two"),
        **{name: train(**changes) for name, changes in TRAININGS.items()},
    }


class Breaks(nn.Module):
    """Cannot be computed in a process whose part is the last patch."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Conv2d(1, 2, 1)

    def forward(self, x):
        if len(x) == 1:
            raise MemoryError("no memory left")
        return self.layer(x)


def play_and_fail(folder):
    """Every scenario, then one in which a helper's part of a step fails."""
    torch.save(play(folder), folder / "of_two.pt")
    registry._BUILDERS["unet"] = lambda _: Breaks
    train("sequal", consistency_weight=0, quality_weight=0)


if __name__ == "__main__":
    run_as_one(partial(play_and_fail, Path(sys.argv[1])))
