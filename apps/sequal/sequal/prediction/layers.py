"""The layers of a network that give an image's features, found in the same way in every architecture."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

import torch
from torch import Tensor, nn

from sequal.labels import NUM_CLASSES
from sequal.learning.networks import NETWORK_STRIDE

__all__ = ["FeatureLayers", "Tap"]

#: Side of the frame of zeros that shows which layer does what: the deepest map is then at least 2×2, which tells
#: it from the 1×1 of squeeze-and-excitation.
_PROBE: Final = 2 * NETWORK_STRIDE


@dataclass
class Tap:
    """What the last forward pass left at the two layers.

    Attributes:
        bottleneck: the deepest map (N, D, w, h).
        penultimate: the input of the last layer (N, F, w', h').
    """

    bottleneck: Tensor = field(default_factory=lambda: torch.empty(0))
    penultimate: Tensor = field(default_factory=lambda: torch.empty(0))


@dataclass(frozen=True)
class FeatureLayers:
    """Where a network is tapped.

    Attributes:
        bottleneck: the module with the deepest map: of all outputs of the smallest area, the last, so that a
            residual sum counts rather than its terms (in MONAI's UNet the map together with its skip).
        last: the last convolution that was called of those that make the class maps out of more channels than
            there are classes. In MONAI's UNet that is the transposed convolution before the last residual unit,
            which works on class maps already: its two inputs would say no more than the prediction does.
    """

    bottleneck: nn.Module
    last: nn.Module

    @classmethod
    def of(cls, network: nn.Module, device: torch.device) -> "FeatureLayers":
        """Find both by one pass over a small frame of zeros; the network is in evaluation mode.

        Args:
            network: from (B, 1, W, H) to (B, 2, W, H); not changed.
            device: where it is.
        """
        areas: list[tuple[int, nn.Module]] = []
        convolutions: list[nn.Module] = []

        def see(module: nn.Module, inputs: tuple[Tensor, ...], output: object) -> None:
            if isinstance(output, Tensor) and output.ndim == 4 and min(output.shape[-2:]) > 1:
                areas.append((output.shape[-2] * output.shape[-1], module))
            if isinstance(module, nn.Conv2d | nn.ConvTranspose2d) and module.out_channels == NUM_CLASSES:
                convolutions.append(module)

        with _hooked({module: see for module in network.modules()}), torch.inference_mode():
            network(torch.zeros(1, 1, _PROBE, _PROBE, device=device))
        smallest = min(area for area, _ in areas)
        wide = [layer for layer in convolutions if int(layer.in_channels) > NUM_CLASSES]  # type: ignore[arg-type]
        return cls([module for area, module in areas if area == smallest][-1], (wide or convolutions)[-1])

    @contextmanager
    def tapped(self) -> Iterator[Tap]:
        """While this is open, every forward pass of the network leaves its maps in the tap."""
        tap = Tap()

        def keep_output(_module: nn.Module, _inputs: tuple[Tensor, ...], output: Tensor) -> None:
            tap.bottleneck = output

        def keep_input(_module: nn.Module, inputs: tuple[Tensor, ...], _output: Tensor) -> None:
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
