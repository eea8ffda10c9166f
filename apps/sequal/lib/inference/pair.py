"""Both networks over all frames of one image, in one pass over the data."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from lib.imaging.working_frames import WorkingFrame
from lib.imaging.working_grid import WorkingGrid
from lib.labels import INTIMA_MEDIA

__all__ = ["PairPrediction", "predict_pair"]

#: Frames of a clip that go through the networks together.
_FRAMES_AT_ONCE = 4


@dataclass(frozen=True)
class PairPrediction:
    """Predictions of two networks for one image on its working grid.

    Attributes:
        log_p_reference: float32 (F, 2, W, H), log-softmax of the first network (the teacher).
        log_p_other: float32 (F, 2, W, H), log-softmax of the second (the student).
        grid: the way back to the image's own grid.
    """

    log_p_reference: Tensor
    log_p_other: Tensor
    grid: WorkingGrid

    @cached_property
    def native_probability(self) -> NDArray[np.float32]:
        """The first network's probability of the layer on the image's own grid: float32 (W, H, F) in 0..1."""
        layer = self.log_p_reference[:, INTIMA_MEDIA].exp()
        return np.ascontiguousarray(np.moveaxis(self.grid.to_native(layer), 0, 2))


@torch.inference_mode()
def predict_pair(reference: nn.Module, other: nn.Module, frame: WorkingFrame, device: torch.device) -> PairPrediction:
    """Run two networks, both in evaluation mode for the time, over every frame of an image."""
    modes = reference.training, other.training
    reference.eval()
    other.eval()
    try:
        parts = [
            tuple(_log_softmax(net, part, frame.grid) for net in (reference, other))
            for part in torch.split(frame.pixels.float().to(device), _FRAMES_AT_ONCE)
        ]
    finally:
        reference.train(modes[0])
        other.train(modes[1])
    first, second = (torch.cat(p) for p in zip(*parts, strict=True))
    return PairPrediction(first, second, frame.grid)


def _log_softmax(network: nn.Module, pixels: Tensor, grid: WorkingGrid) -> Tensor:
    logits = grid.crop(network(grid.pad(pixels)))
    return torch.log_softmax(logits.float(), dim=1)
