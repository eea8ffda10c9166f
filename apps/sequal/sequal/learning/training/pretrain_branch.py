"""The error branch of starting weights: trained on simulated frames, on top of networks that stay as they are."""

from collections.abc import Callable, Sequence
from typing import Final

import numpy as np
import torch
from torch import Tensor

from sequal.anatomy.phantom.patches import PhantomSample, phantom_sample, poor_sample
from sequal.labels import IGNORE
from sequal.learning.networks import NetworkPair
from sequal.learning.quality.learner import QualityLearner
from sequal.preparation.working_grid import padded_size
from sequal.settings import Settings

__all__ = ["branch_frames", "frames_for", "pretrain_branch", "whole"]

#: One in so many frames is drawn as in the training of the networks; on the others, of drawn hospitals, they fail more.
_ORDINARY_EVERY: Final = 3
#: Frames of a step; each has a size of its own.
_AT_ONCE: Final = 2


#: So often is each frame seen, spoilt anew each time.
_SEEN: Final = 8


def frames_for(steps: int) -> int:
    """Frames to simulate for so many steps.

    >>> frames_for(1000)
    250
    """
    return max(1, steps * _AT_ONCE // _SEEN)


def branch_frames(
    count: int, seed: int, settings: Settings, on_frame: Callable[[int], None] = lambda _: None
) -> list[PhantomSample]:
    """Simulated frames that networks segment well and badly.

    Args:
        count: frames.
        seed: of the poor frames; the next one is that of the ordinary ones.
        settings: the working grid.
        on_frame: called with the number of frames that are made.
    """
    frames = []
    for index in range(count):
        ordinary, is_poor = divmod(index, _ORDINARY_EVERY)
        frames.append(
            poor_sample(seed, index - ordinary - 1, settings)
            if is_poor
            else phantom_sample(seed + 1, ordinary, settings)
        )
        on_frame(index + 1)
    return frames


def pretrain_branch(
    pair: NetworkPair,
    frames: Sequence[PhantomSample],
    settings: Settings,
    on_step: Callable[[int, float], None] = lambda *_: None,
) -> None:
    """Train the error branch of a pair, a new one if it has none; its networks are left as they are.

    The branch sees whole frames, as it will in use: what it pools over a frame is then of the same kind.

    Args:
        pair: on its device.
        frames: on the working grid.
        settings: `iterations_per_epoch` steps, `learning_rate` at the start, `weight_decay` and `seed`.
        on_step: called after every step with its number and the loss.
    """
    pair.eval()
    learner = QualityLearner(pair, settings.seed, detach=True)
    device = next(learner.branch.parameters()).device
    optimizer = torch.optim.AdamW(
        learner.branch.parameters(), settings.learning_rate, weight_decay=settings.weight_decay
    )
    steps = settings.iterations_per_epoch
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    rng = np.random.default_rng(settings.seed)
    for step in range(1, steps + 1):
        optimizer.zero_grad(set_to_none=True)
        loss = 0.0
        for index in rng.integers(len(frames), size=_AT_ONCE):
            part = learner.loss(*whole(frames[int(index)], device)) / _AT_ONCE
            torch.autograd.backward(part)
            loss += part.item()
        optimizer.step()
        schedule.step()
        on_step(step, loss)


def whole(sample: PhantomSample, device: torch.device) -> tuple[Tensor, Tensor]:
    """Image float32 and label uint8 (1, 1, W, H) of a frame, padded to what a network takes; 255 beside the frame."""
    width, height = sample.image.shape
    size = padded_size((width, height))
    image = np.pad(sample.image, ((0, size[0] - width), (0, size[1] - height)), mode="edge")
    label = np.full(size, IGNORE, np.uint8)
    label[:width, :height] = sample.label
    view = torch.from_numpy(image)[None, None].to(device) / 255.0
    return view, torch.from_numpy(label)[None, None].to(device)
