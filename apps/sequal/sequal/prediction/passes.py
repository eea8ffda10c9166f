"""Networks over the frames of images, in one pass over the data."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

import torch
from monai.inferers import sliding_window_inference
from torch import Tensor, nn

from sequal.anatomy.model import Model, NativePrediction
from sequal.learning.networks import Ensemble, evaluating, mean_log_probability
from sequal.learning.quality.branched import Branched
from sequal.preparation.working_frame import Grid, WorkingFrame

__all__ = ["FRAMES_AT_ONCE", "Looked", "in_windows", "log_probabilities", "look", "predict"]

_Found = TypeVar("_Found", Tensor, tuple[Tensor, ...])

#: Frames that go through a network together; more are not faster on a CPU, and each takes memory.
FRAMES_AT_ONCE: Final = 4


@dataclass(frozen=True)
class Looked:
    """What networks say of images on the working grid.

    Attributes:
        log_p: log-softmax by network, float32 (N, C, *working).
        wrong: probability that what is shown is wrong about each class but the background, float32
            (N, C − 1, *working); None without an error branch.
    """

    log_p: dict[nn.Module, Tensor]
    wrong: Tensor | None


@torch.inference_mode()
def look(
    networks: Sequence[nn.Module], pixels: Tensor, grid: Grid, device: torch.device, branched: Branched | None = None
) -> Looked:
    """Let several networks, each in evaluation mode for the time, see images in one pass over the data.

    Args:
        networks: on `device`; one that is named twice runs once, and so does a member of an ensemble.
        pixels: floating point (N, 1, *working) in 0..1 on the working grid; N is bounded by the caller's memory.
        grid: the grid that `pixels` are on.
        device: where the networks are.
        branched: one of the networks with its error branch; None: nothing is said of errors.

    Returns:
        Tensors on `device`.
    """
    parts: dict[nn.Module, list[Tensor]] = {network: [] for network in networks}
    wrong: list[Tensor] = []
    single = list(dict.fromkeys(member for network in parts for member in _members(network)))
    with evaluating([*parts, *(branched.members if branched else ())]):
        for part in torch.split(pixels, FRAMES_AT_ONCE):
            padded = grid.pad(part.to(device).float())
            logits = {}
            if branched is not None:
                *of_members, errors = _passed(branched, padded, grid)
                logits = dict(zip(branched.members, of_members, strict=True))
                wrong.append(torch.sigmoid(grid.crop(errors)))
            logits |= {network: in_windows(network, padded, grid) for network in single if network not in logits}
            log_p = {network: torch.log_softmax(grid.crop(found).float(), dim=1) for network, found in logits.items()}
            for network, found in parts.items():
                found.append(log_p[network] if network in log_p else _mean(network, log_p))
    return Looked({network: torch.cat(found) for network, found in parts.items()}, torch.cat(wrong) if wrong else None)


def log_probabilities(
    networks: Sequence[nn.Module], pixels: Tensor, grid: Grid, device: torch.device
) -> dict[nn.Module, Tensor]:
    """Log-softmax of several networks, float32 (N, C, *working) by network; see `look`."""
    return look(networks, pixels, grid, device).log_p


def predict(network: nn.Module, frame: WorkingFrame, model: Model, device: torch.device) -> NativePrediction:
    """What one network says of an image, on the image's own grid."""
    log_p = log_probabilities((network,), frame.pixels, frame.grid, device)[network]
    return model.to_native(log_p, frame.grid)


def _passed(branched: Branched, x: Tensor, grid: Grid) -> tuple[Tensor, ...]:
    """Logits of each member, then the log-odds of an error."""

    def at_once(part: Tensor) -> tuple[Tensor, ...]:
        logits, errors = branched(part)
        return *logits, errors

    return in_windows(at_once, x, grid)


def in_windows(network: Callable[[Tensor], _Found], x: Tensor, grid: Grid) -> _Found:
    """Of the whole image at once, or of windows that overlap by half and count most in their centre.

    Where the image is narrower than a window its border is repeated, as in training.
    """
    if grid.window is None or all(side <= of_window for side, of_window in zip(x.shape[2:], grid.window, strict=True)):
        return network(x)
    found: _Found = sliding_window_inference(
        x, grid.window, 1, network, overlap=0.5, mode="gaussian", padding_mode="replicate"
    )
    return found


def _members(network: nn.Module) -> list[nn.Module]:
    return list(network.members) if isinstance(network, Ensemble) else [network]


def _mean(ensemble: nn.Module, log_p: dict[nn.Module, Tensor]) -> Tensor:
    return mean_log_probability([log_p[member] for member in _members(ensemble)])
