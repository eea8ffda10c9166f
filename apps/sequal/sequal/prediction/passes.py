"""Networks over the frames of images, in one pass over the data."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from sequal.labels import INTIMA_MEDIA
from sequal.learning.networks import Ensemble, mean_log_probability
from sequal.preparation.working_frames import WorkingFrame
from sequal.preparation.working_grid import WorkingGrid

__all__ = ["FRAMES_AT_ONCE", "log_probabilities", "predict_probability", "to_native"]

#: Frames that go through a network together; more are not faster on a CPU, and each takes memory.
FRAMES_AT_ONCE: Final = 4


@torch.inference_mode()
def log_probabilities(
    networks: Sequence[nn.Module], pixels: Tensor, grid: WorkingGrid, device: torch.device
) -> dict[nn.Module, Tensor]:
    """Log-softmax of several networks, each in evaluation mode for the time, in one pass over the data.

    Args:
        networks: on `device`; one that is named twice runs once, and so does a member of an ensemble.
        pixels: floating point (N, 1, W, H) in 0..1 on the working grid; N is bounded by the caller's memory.
        grid: the grid that `pixels` are on.
        device: where the networks are.

    Returns:
        Float32 (N, 2, W, H) by network, on `device`.
    """
    parts: dict[nn.Module, list[Tensor]] = {network: [] for network in networks}
    single = list(dict.fromkeys(member for network in parts for member in _members(network)))
    with _evaluating(list(parts)):
        for part in torch.split(pixels, FRAMES_AT_ONCE):
            padded = grid.pad(part.to(device).float())
            log_p = {network: torch.log_softmax(grid.crop(network(padded)).float(), dim=1) for network in single}
            for network, found in parts.items():
                found.append(log_p[network] if network in log_p else _mean(network, log_p))
    return {network: torch.cat(found) for network, found in parts.items()}


def predict_probability(network: nn.Module, frame: WorkingFrame, device: torch.device) -> NDArray[np.float32]:
    """One network's probability of the layer on the image's own grid: float32 (W, H, F) in 0..1."""
    return to_native(log_probabilities((network,), frame.pixels, frame.grid, device)[network], frame.grid)


def _members(network: nn.Module) -> list[nn.Module]:
    return list(network.members) if isinstance(network, Ensemble) else [network]


def _mean(ensemble: nn.Module, log_p: dict[nn.Module, Tensor]) -> Tensor:
    return mean_log_probability([log_p[member] for member in _members(ensemble)])


def to_native(log_p: Tensor, grid: WorkingGrid) -> NDArray[np.float32]:
    """The probability of the layer on an image's own grid, float32 (W, H, F) in 0..1, from log-softmax (F, 2, W, H)."""
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
