"""BALD of frames by MC-dropout: several passes of one network with its dropout at work."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import torch
from torch import Tensor, nn
from torch.nn.modules.dropout import _DropoutNd

from sequal.acquisition import bald
from sequal.prediction.passes import FRAMES_AT_ONCE, in_windows
from sequal.preparation.working_frame import Grid

__all__ = ["PASSES", "bald_of_frames", "dropout_layers"]

logger = logging.getLogger(__name__)

#: K: the mutual information of two classes is known to a few per cent, at eight times the cost of a prediction.
PASSES: Final = 8


def dropout_layers(network: nn.Module) -> list[nn.Module]:
    """The dropout layers that drop something; a network may have none."""
    return [module for module in network.modules() if isinstance(module, _DropoutNd) and module.p > 0]


@torch.inference_mode()
def bald_of_frames(network: nn.Module, pixels: Tensor, grid: Grid, device: torch.device, seed: int) -> Tensor:
    """Mutual information between prediction and weights for each frame; higher is asked for first.

    Only dropout layers are in training mode (Gal, Islam & Ghahramani, ICML 2017): batch norm keeps the statistics
    it has learned. Every frame is passed by itself and from the same seed, so that its score depends neither on
    its neighbours nor on the order, and frames of one size are compared under the same dropout masks. The state of
    torch's generators and the networks' modes are left as they were.

    Args:
        network: on `device`.
        pixels: floating point (N, 1, *working) in 0..1 on the working grid.
        grid: the grid that `pixels` are on.
        device: where the network is.
        seed: of the dropout masks.

    Returns:
        Float64 (N,) on the CPU, in nats; NaN throughout for a network without dropout layers, which gives no
        information: 0 would claim that it is certain.
    """
    if not dropout_layers(network):
        logger.warning("BALD needs a network with dropout layers, and this one has none: no scores")
        return torch.full((len(pixels),), torch.nan, dtype=torch.float64)
    with _only_dropout_trains(network), torch.random.fork_rng():
        scores = [_bald_of_one(network, frame, grid, device, seed) for frame in torch.split(pixels, 1)]
    return torch.cat(scores).cpu().double()


def _bald_of_one(network: nn.Module, frame: Tensor, grid: Grid, device: torch.device, seed: int) -> Tensor:
    torch.manual_seed(seed)
    padded = grid.pad(frame.to(device).float())
    passes = []
    for start in range(0, PASSES, FRAMES_AT_ONCE):
        copies = padded.expand(min(FRAMES_AT_ONCE, PASSES - start), *padded.shape[1:])
        passes.append(torch.log_softmax(grid.crop(in_windows(network, copies, grid)).float(), dim=1))
    return bald(torch.cat(passes)[:, None])


@contextmanager
def _only_dropout_trains(network: nn.Module) -> Iterator[None]:
    modes = {module: module.training for module in network.modules()}
    network.eval()
    for layer in dropout_layers(network):
        layer.train()
    try:
        yield
    finally:
        for module, mode in modes.items():
            module.training = mode
