"""Networks over all frames of one image, in one pass over the data."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from sequal.labels import INTIMA_MEDIA
from sequal.preparation.working_frames import WorkingFrame
from sequal.preparation.working_grid import WorkingGrid

__all__ = ["FRAMES_AT_ONCE", "PairPrediction", "log_probabilities", "predict_pair", "predict_probability"]

#: Frames that go through a network together; more are not faster on a CPU, and each takes memory.
FRAMES_AT_ONCE: Final = 4


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
        return _to_native(self.log_p_reference, self.grid)


@torch.inference_mode()
def log_probabilities(
    networks: Sequence[nn.Module], pixels: Tensor, grid: WorkingGrid, device: torch.device
) -> dict[nn.Module, Tensor]:
    """Log-softmax of several networks, each in evaluation mode for the time, in one pass over the data.

    Args:
        networks: on `device`; one that is named twice runs once.
        pixels: floating point (N, 1, W, H) in 0..1 on the working grid; N is bounded by the caller's memory.
        grid: the grid that `pixels` are on.
        device: where the networks are.

    Returns:
        Float32 (N, 2, W, H) by network, on `device`.
    """
    parts: dict[nn.Module, list[Tensor]] = {network: [] for network in networks}
    with _evaluating(list(parts)):
        for part in torch.split(pixels, FRAMES_AT_ONCE):
            padded = grid.pad(part.to(device).float())
            for network, found in parts.items():
                found.append(torch.log_softmax(grid.crop(network(padded)).float(), dim=1))
    return {network: torch.cat(found) for network, found in parts.items()}


def predict_pair(reference: nn.Module, other: nn.Module, frame: WorkingFrame, device: torch.device) -> PairPrediction:
    """Run two networks, both in evaluation mode for the time, over every frame of an image."""
    log_p = log_probabilities((reference, other), frame.pixels, frame.grid, device)
    return PairPrediction(log_p[reference], log_p[other], frame.grid)


def predict_probability(network: nn.Module, frame: WorkingFrame, device: torch.device) -> NDArray[np.float32]:
    """One network's probability of the layer on the image's own grid: float32 (W, H, F) in 0..1."""
    return _to_native(log_probabilities((network,), frame.pixels, frame.grid, device)[network], frame.grid)


def _to_native(log_p: Tensor, grid: WorkingGrid) -> NDArray[np.float32]:
    return np.ascontiguousarray(np.moveaxis(grid.to_native(log_p[:, INTIMA_MEDIA].exp()), 0, 2))


@contextmanager
def _evaluating(networks: Sequence[nn.Module]) -> Iterator[None]:
    switched = [network for network in networks if network.training]  # walking through the layers costs milliseconds
    for network in switched:
        network.eval()
    try:
        yield
    finally:
        for network in switched:
            network.train()
