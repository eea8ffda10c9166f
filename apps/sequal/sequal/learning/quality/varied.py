"""Predictions of varied quality: a network is hardly ever wrong on what it learns from, so that it is made to err."""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sequal.learning.networks import only_dropout_trains

__all__ = ["degraded", "dropping"]


def degraded(images: Tensor, generator: torch.Generator) -> Tensor:
    """Spoil images as bad scans are: contrast, blur, haze, noise and a shadow, each of them in half of the cases.

    Args:
        images: floating point (B, 1, *spatial) in 0..1.
        generator: of the draw, on the CPU.

    Returns:
        The same shape and device, in 0..1.
    """
    return torch.cat([_degrade(one, generator) for one in torch.split(images, 1)])


def _degrade(x: Tensor, generator: torch.Generator) -> Tensor:
    def uniform(low: float, high: float) -> float:
        return low + (high - low) * float(torch.rand((), generator=generator))

    if uniform(0, 1) < 0.5:
        x = x.clamp_min(0) ** math.exp(uniform(-0.8, 0.8))
    if uniform(0, 1) < 0.5:
        pool = F.avg_pool2d if x.ndim == 4 else F.avg_pool3d
        for _ in range(1 + int(uniform(0, 3))):
            x = pool(x, 3, stride=1, padding=1, count_include_pad=False)
    if uniform(0, 1) < 0.5:
        haze = uniform(0.1, 0.7)
        x = (1 - haze) * x + haze * uniform(0, 0.6)
    if uniform(0, 1) < 0.5:
        box = tuple(_part(side, uniform(0.15, 0.6), uniform(0, 1)) for side in x.shape[2:])
        shadow = torch.ones_like(x)
        shadow[(slice(None), slice(None), *box)] = uniform(0, 0.4)
        x = x * shadow
    if uniform(0, 1) < 0.5:
        noise = torch.randn(x.shape, generator=generator).to(x)
        x = x + uniform(0.02, 0.2) * noise
    return x.clamp(0, 1)


def _part(side: int, size: float, place: float) -> slice:
    length = max(1, round(size * side))
    start = round(place * (side - length))
    return slice(start, start + length)


@contextmanager
def dropping(networks: Sequence[nn.Module], seed: int, device: torch.device) -> Iterator[None]:
    """The networks evaluate, but for their dropout, which drops by a seed; torch's generators stay as they were."""
    with only_dropout_trains(networks), torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        yield
