"""Two vectors of an image as a network sees it: what it shows, and what its label would change."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from sequal.learning.networks import NETWORK_STRIDE, FeatureLayers, evaluating
from sequal.prediction.passes import FRAMES_AT_ONCE
from sequal.preparation.working_frame import Grid, WorkingFrame
from sequal.preparation.working_frames import WorkingFrames
from sequal.study.items import Item

__all__ = ["ImageFeatures", "gradient_embedding", "image_features", "pooled"]


@dataclass(frozen=True)
class ImageFeatures:
    """The vectors of one image; of a clip, their mean over its frames, of a large volume over its windows.

    Attributes:
        bottleneck: float32 (D,), the deepest feature map averaged over its pixels; not normalised.
        gradient: float32 (C·F,), the gradient embedding of the last layer, class by class.
    """

    bottleneck: NDArray[np.float32]
    gradient: NDArray[np.float32]


def image_features(
    items: Sequence[Item],
    network: nn.Module,
    frames: WorkingFrames,
    device: torch.device,
    on_done: Callable[[str, ImageFeatures], None] = lambda *_: None,
) -> dict[str, ImageFeatures]:
    """Features of every readable image.

    Args:
        items: the images.
        network: the published teacher, on `device`; evaluated, and left in the mode it has.
        frames: source of the images; unreadable ones are left out and remembered there.
        device: where the network is.
        on_done: called after each image with its id and features, for progress and for writing them down.

    Returns:
        Features by image id.
    """
    found: dict[str, ImageFeatures] = {}
    layers: FeatureLayers | None = None
    with evaluating([network]):
        for item in items:
            frame = frames.get(item)
            if frame is None:
                continue
            if layers is None:
                example = torch.zeros(1, 1, *[2 * NETWORK_STRIDE] * len(frame.grid.working), device=device)
                layers = FeatureLayers.of(network, example)
            found[item.id] = _features_of(frame, network, layers, device)
            on_done(item.id, found[item.id])
    return found


@torch.inference_mode()
def _features_of(frame: WorkingFrame, network: nn.Module, layers: FeatureLayers, device: torch.device) -> ImageFeatures:
    bottleneck, gradient, sizes = [], [], []
    with layers.tapped() as tap:
        for part in torch.split(frame.pixels, FRAMES_AT_ONCE):
            padded = frame.grid.pad(part.to(device).float())
            for window, valid in _windows(padded, frame.grid):
                logits = network(padded[window]).float()
                bottleneck.append(pooled(tap.bottleneck.float(), valid))
                gradient.append(gradient_embedding(tap.penultimate.float(), logits, valid))
                sizes += [valid.sum()] * len(logits)
    weights = torch.stack(sizes) / torch.stack(sizes).sum()
    return ImageFeatures(*((weights @ torch.cat(parts)).cpu().numpy() for parts in (bottleneck, gradient)))


def _windows(padded: Tensor, grid: Grid) -> Iterator[tuple[tuple[slice, ...], Tensor]]:
    """What a network takes at once, side by side, each with a map of what it has of the image before any other."""
    whole = padded.shape[2:]
    left = torch.zeros(1, 1, *whole, device=padded.device)
    grid.crop(left).fill_(1.0)
    sides = [min(pair) for pair in zip(grid.window or whole, whole, strict=True)]
    for corner in product(*(range(0, length, side) for length, side in zip(whole, sides, strict=True))):
        begins = (min(start, length - side) for start, length, side in zip(corner, whole, sides, strict=True))
        along = [slice(begin, begin + side) for begin, side in zip(begins, sides, strict=True)]
        window = (slice(None), slice(None), *along)
        valid = left[window].clone()
        left[window] = 0.0
        if valid.any():
            yield window, valid


def pooled(features: Tensor, valid: Tensor) -> Tensor:
    """Mean of a feature map over its pixels, each weighed by the part of it that is not padding.

    Args:
        features: (N, D, *coarse), on a grid as coarse as it likes.
        valid: 1 where the frame is, 0 where it was padded, floating point (1, 1, *spatial).

    Returns:
        (N, D).

    The right half of two cells is half padded: (1 · 1 + 4 · 0.5) / 1.5.

    >>> pooled(torch.tensor([[[[1.0, 4.0]]]]), torch.tensor([[[[1.0, 1.0, 1.0, 0.0]]]]))
    tensor([[2.]])
    """
    weights = _averaged(valid, features.shape[2:])
    return (features * weights).flatten(2).sum(dim=2) / weights.flatten(2).sum(dim=2)


def gradient_embedding(penultimate: Tensor, logits: Tensor, valid: Tensor) -> Tensor:
    """Gradient of the mean cross-entropy at the last layer, with the network's own prediction as the label.

    1/|Ω| Σ_Ω (p − onehot(argmax p)) ⊗ h over the valid pixels Ω (BADGE: Ash et al., ICLR 2020, eq. 1; per pixel,
    averaged, as a segmentation's loss is). For a 1×1 convolution as last layer that is exactly the gradient of its
    weights. For wider kernels the taps are taken together; where h is coarser than the logits (a transposed
    convolution), p − onehot is summed over each of its cells. The vectors of single pixels are never made.

    Args:
        penultimate: h, the input of the last layer (N, F, *coarse).
        logits: (N, C, *spatial).
        valid: 1 where the frame is, 0 where it was padded, floating point (1, 1, *spatial).

    Returns:
        (N, C·F), the F values of the first class first.

    One pixel with p = (0.75, 0.25) and h = 2 gives (0.75 − 1, 0.25) · 2:

    >>> logits = torch.tensor([3.0, 1.0]).log().view(1, 2, 1, 1)
    >>> gradient_embedding(torch.full((1, 1, 1, 1), 2.0), logits, torch.ones(1, 1, 1, 1))
    tensor([[-0.5000,  0.5000]])
    """
    p = logits.softmax(dim=1)
    wrong = (p - F.one_hot(p.argmax(dim=1), p.shape[1]).movedim(-1, 1)) * valid
    coarse = penultimate.shape[2:]
    per_cell = wrong.shape[2:].numel() / coarse.numel()
    sums = _averaged(wrong, coarse) * per_cell
    return torch.einsum("ncv,nfv->ncf", sums.flatten(2), penultimate.flatten(2)).flatten(1) / valid.sum()


def _averaged(values: Tensor, grid: torch.Size) -> Tensor:
    return F.interpolate(values, size=tuple(grid), mode="area")
