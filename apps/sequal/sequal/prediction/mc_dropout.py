"""MC-dropout of images: several passes of one network with its dropout at work, and how they differ."""

import logging
from typing import Final

import torch
from torch import Tensor, nn

from sequal.acquisition import bald
from sequal.learning.networks import dropout_layers, only_dropout_trains
from sequal.prediction.passes import FRAMES_AT_ONCE, in_windows
from sequal.preparation.working_frame import Grid

__all__ = ["PASSES", "bald_of_frames", "dropout_dice", "pairwise_dice"]

logger = logging.getLogger(__name__)

#: K: the mutual information of two classes is known to a few per cent, at eight times the cost of a prediction.
PASSES: Final = 8


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
    if not dropout_layers([network]):
        logger.warning("BALD needs a network with dropout layers, and this one has none: no scores")
        return torch.full((len(pixels),), torch.nan, dtype=torch.float64)
    with only_dropout_trains([network]), torch.random.fork_rng():
        scores = [bald(_passes(network, frame, grid, device, seed)[:, None]) for frame in torch.split(pixels, 1)]
    return torch.cat(scores).cpu().double()


@torch.inference_mode()
def dropout_dice(network: nn.Module, pixels: Tensor, grid: Grid, device: torch.device, seed: int) -> Tensor:
    """Mean Dice of every two of the masks that passes with dropout give of each frame, float64 (N,) on the CPU.

    Roy et al., NeuroImage 195 (2019): masks that agree are trusted. Arguments and care are those of `bald_of_frames`.
    """
    with only_dropout_trains([network]), torch.random.fork_rng():
        every = [_passes(network, frame, grid, device, seed).max(dim=1).indices for frame in torch.split(pixels, 1)]
    return torch.stack([pairwise_dice(masks) for masks in every]).cpu()


def pairwise_dice(masks: Tensor) -> Tensor:
    """Mean Dice of every two masks, float64 (), each the mean over the classes of either; of two empty ones it is 1.

    Args:
        masks: bool or integers (K, *spatial), 0 background, K ≥ 2.

    >>> pairwise_dice(torch.tensor([[1, 1, 0], [0, 1, 1], [0, 0, 0]])).item()  # 1/2, 0 and 0
    0.16666666666666666
    >>> pairwise_dice(torch.tensor([[1, 2, 2], [1, 2, 0]])).item()  # 1 and 2/3
    0.8333333333333333
    """
    flat, (one, other) = masks.flatten(1), torch.triu_indices(len(masks), len(masks), offset=1)
    scores, classes = torch.zeros(2, len(one), dtype=torch.float64, device=masks.device)
    for number in range(1, int(flat.max()) + 1):
        mask = (flat == number).double()
        total = mask.sum(dim=1)[one] + mask.sum(dim=1)[other]
        scores += 2 * (mask @ mask.T)[one, other] / total.clamp_min(1)
        classes += total > 0
    return torch.where(classes > 0, scores / classes.clamp_min(1), torch.ones_like(scores)).mean()


def _passes(network: nn.Module, frame: Tensor, grid: Grid, device: torch.device, seed: int) -> Tensor:
    """Log-softmax of each pass over one frame (PASSES, C, *working)."""
    torch.manual_seed(seed)
    padded = grid.pad(frame.to(device).float())
    passes = []
    for start in range(0, PASSES, FRAMES_AT_ONCE):
        copies = padded.expand(min(FRAMES_AT_ONCE, PASSES - start), *padded.shape[1:])
        passes.append(torch.log_softmax(grid.crop(in_windows(network, copies, grid)).float(), dim=1))
    return torch.cat(passes)
