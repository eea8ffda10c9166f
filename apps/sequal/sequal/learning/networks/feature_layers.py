"""The layers of a network that give features, found in the same way in every architecture, for 2-D and 3-D."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

import torch
from torch import Tensor, nn

from sequal.learning.networks.modes import evaluating

__all__ = ["FeatureLayers", "Tap"]

_CONVOLUTIONS: Final = (nn.Conv2d, nn.ConvTranspose2d, nn.Conv3d, nn.ConvTranspose3d)


@dataclass
class Tap:
    """What the last forward pass left at the two layers.

    Attributes:
        bottleneck: the deepest map (N, D, *coarse).
        penultimate: the input of the last layer (N, F, *fine), on the grid of the logits or on one half as fine.
            In training its gradient goes through the layers before.
    """

    bottleneck: Tensor = field(default_factory=lambda: torch.empty(0))
    penultimate: Tensor = field(default_factory=lambda: torch.empty(0))


@dataclass(frozen=True)
class FeatureLayers:
    """Where a network is tapped.

    Attributes:
        bottleneck: the module with the deepest map: of all outputs of the smallest size, the last, so that a
            residual sum counts rather than its terms (in MONAI's UNet the map together with its skip).
        last: the last convolution that was called of those that make the class maps out of more channels than
            there are classes. In MONAI's UNet that is the transposed convolution before the last residual unit,
            which works on class maps already: its two inputs would say no more than the prediction does.
        logits: the last convolution that makes class maps; its bias is added to the logits.
    """

    bottleneck: nn.Module
    last: nn.Module
    logits: nn.Module

    @classmethod
    def of(cls, network: nn.Module, example: Tensor) -> "FeatureLayers":
        """Find them by one pass over a small input.

        Args:
            network: from (B, in_channels, *spatial) to logits (B, classes, *spatial), on the device of the example;
                evaluated, and left in the mode it has.
            example: one input so large that the deepest map has no side of 1, which tells it from the single values of
                squeeze-and-excitation: `Architecture.example`.
        """
        sizes: list[tuple[int, nn.Module]] = []
        convolutions: list[nn.Module] = []

        def see(module: nn.Module, inputs: tuple[Tensor, ...], output: object) -> None:
            if isinstance(output, Tensor) and output.ndim == example.ndim and min(output.shape[2:]) > 1:
                sizes.append((output.shape[2:].numel(), module))
            if isinstance(module, _CONVOLUTIONS):
                convolutions.append(module)

        with evaluating([network]), _hooked({module: see for module in network.modules()}), torch.no_grad():
            classes = network(example).shape[1]
        smallest = min(size for size, _ in sizes)
        ends = [layer for layer in convolutions if layer.out_channels == classes]
        wide = [layer for layer in ends if int(layer.in_channels) > classes]  # type: ignore[arg-type]
        return cls([module for size, module in sizes if size == smallest][-1], (wide or ends)[-1], ends[-1])

    @contextmanager
    def tapped(self) -> Iterator[Tap]:
        """While this is open, every forward pass of the network in this thread leaves its maps in the tap."""
        tap, thread = Tap(), threading.get_ident()  # a server predicts several images with one network at a time

        def keep_output(_module: nn.Module, _inputs: tuple[Tensor, ...], output: Tensor) -> None:
            if threading.get_ident() == thread:
                tap.bottleneck = output

        def keep_input(_module: nn.Module, inputs: tuple[Tensor, ...], _output: Tensor) -> None:
            if threading.get_ident() == thread:
                tap.penultimate = inputs[0]

        handles = [
            self.bottleneck.register_forward_hook(keep_output),
            self.last.register_forward_hook(keep_input),
        ]
        try:
            yield tap
        finally:
            for handle in handles:
                handle.remove()


@contextmanager
def _hooked(hooks: dict[nn.Module, Callable[..., None]]) -> Iterator[None]:
    handles = [module.register_forward_hook(hook) for module, hook in hooks.items()]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
