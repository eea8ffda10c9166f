"""Networks over the frames of images, in one pass over the data."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final

import torch
from monai.inferers import sliding_window_inference
from torch import Tensor, nn

from sequal.anatomy.model import Model, NativePrediction
from sequal.learning.networks import Ensemble, mean_log_probability
from sequal.preparation.working_frame import Grid, WorkingFrame

__all__ = ["FRAMES_AT_ONCE", "log_probabilities", "predict"]

#: Frames that go through a network together; more are not faster on a CPU, and each takes memory.
FRAMES_AT_ONCE: Final = 4


@torch.inference_mode()
def log_probabilities(
    networks: Sequence[nn.Module], pixels: Tensor, grid: Grid, device: torch.device
) -> dict[nn.Module, Tensor]:
    """Log-softmax of several networks, each in evaluation mode for the time, in one pass over the data.

    Args:
        networks: on `device`; one that is named twice runs once, and so does a member of an ensemble.
        pixels: floating point (N, 1, *working) in 0..1 on the working grid; N is bounded by the caller's memory.
        grid: the grid that `pixels` are on.
        device: where the networks are.

    Returns:
        Float32 (N, C, *working) by network, on `device`.
    """
    parts: dict[nn.Module, list[Tensor]] = {network: [] for network in networks}
    single = list(dict.fromkeys(member for network in parts for member in _members(network)))
    with _evaluating(list(parts)):
        for part in torch.split(pixels, FRAMES_AT_ONCE):
            padded = grid.pad(part.to(device).float())
            log_p = {
                network: torch.log_softmax(grid.crop(_logits(network, padded, grid)).float(), dim=1)
                for network in single
            }
            for network, found in parts.items():
                found.append(log_p[network] if network in log_p else _mean(network, log_p))
    return {network: torch.cat(found) for network, found in parts.items()}


def predict(network: nn.Module, frame: WorkingFrame, model: Model, device: torch.device) -> NativePrediction:
    """What one network says of an image, on the image's own grid."""
    log_p = log_probabilities((network,), frame.pixels, frame.grid, device)[network]
    return model.to_native(log_p, frame.grid)


def _logits(network: nn.Module, x: Tensor, grid: Grid) -> Tensor:
    """Of the whole image at once, or of windows that overlap by half and count most in their centre."""
    if grid.window is None or all(side <= of_window for side, of_window in zip(x.shape[2:], grid.window, strict=True)):
        logits: Tensor = network(x)
        return logits
    found: Tensor = sliding_window_inference(x, grid.window, 1, network, overlap=0.5, mode="gaussian")
    return found


def _members(network: nn.Module) -> list[nn.Module]:
    return list(network.members) if isinstance(network, Ensemble) else [network]


def _mean(ensemble: nn.Module, log_p: dict[nn.Module, Tensor]) -> Tensor:
    return mean_log_probability([log_p[member] for member in _members(ensemble)])


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
