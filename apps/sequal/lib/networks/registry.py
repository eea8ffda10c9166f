"""Networks by name: every architecture takes (B, 1, W, H) and gives (B, 2, W, H) logits.

The default is measured, not guessed: see `benchmarks/networks/`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from monai.networks.nets import (
    AttentionUnet,
    BasicUNet,
    BasicUNetPlusPlus,
    DynUNet,
    FlexibleUNet,
    SegResNet,
    UNet,
)
from torch import Tensor, nn

from lib.errors import CheckpointError
from lib.labels import NUM_CLASSES

__all__ = ["NETWORK_STRIDE", "Architecture", "create_network"]

#: Every side of an input must be a multiple of this many pixels (the deepest architecture halves five times).
NETWORK_STRIDE: Final = 32

_FILTERS: Final = (16, 32, 48, 64, 96, 128)
#: Little, so that a thin layer is not lost; it makes MC-dropout possible and adds no weights.
_DROPOUT: Final = 0.05


@dataclass(frozen=True)
class Architecture:
    """What is needed to build a network again: the name it is registered by."""

    name: str


def _dynunet() -> nn.Module:
    filters = (12, 24, 48, 64, 96, 128)
    strides = [1, 2, 2, 2, 2, 2]
    return DynUNet(
        spatial_dims=2,
        in_channels=1,
        out_channels=NUM_CLASSES,
        kernel_size=[3] * len(filters),
        strides=strides,
        upsample_kernel_size=strides[1:],
        filters=filters,
        norm_name=("batch", {}),
        deep_supervision=False,
    )


def _unet() -> nn.Module:
    return UNet(2, 1, NUM_CLASSES, _FILTERS, (2, 2, 2, 2, 2), num_res_units=2, norm="batch", dropout=_DROPOUT)


def _basic_unet() -> nn.Module:
    return BasicUNet(2, 1, NUM_CLASSES, features=(16, 24, 32, 64, 96, 16), norm="batch")


def _attention_unet() -> nn.Module:
    return AttentionUnet(2, 1, NUM_CLASSES, _FILTERS[:5], (2, 2, 2, 2))


def _segresnet() -> nn.Module:
    return SegResNet(
        spatial_dims=2,
        init_filters=8,
        in_channels=1,
        out_channels=NUM_CLASSES,
        norm="batch",
        blocks_down=(1, 2, 2, 4),
    )


def _flexible_unet() -> nn.Module:
    return FlexibleUNet(1, NUM_CLASSES, "efficientnet-b0", pretrained=False, spatial_dims=2)


class _UNetPlusPlus(nn.Module):
    """UNet++, the published S1 network, without deep supervision: one output instead of a list of one."""

    def __init__(self) -> None:
        super().__init__()
        self.net = BasicUNetPlusPlus(2, 1, NUM_CLASSES, features=(16, 24, 32, 64, 96, 16), norm="batch")

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.net(x)[0]
        return logits


_BUILDERS: Final[dict[str, Callable[[], nn.Module]]] = {
    "dynunet": _dynunet,
    "unet": _unet,
    "basic_unet": _basic_unet,
    "attention_unet": _attention_unet,
    "segresnet": _segresnet,
    "unetplusplus": _UNetPlusPlus,
    "flexible_unet": _flexible_unet,
}


def create_network(architecture: Architecture) -> nn.Module:
    """Build the network registered under `architecture.name`, with PyTorch's default initialisation.

    Returns:
        A module from (B, 1, W, H) float32, sides multiples of `NETWORK_STRIDE`, to (B, 2, W, H) logits.

    Raises:
        CheckpointError: no architecture has this name (a checkpoint from another version of the app, say).
    """
    builder = _BUILDERS.get(architecture.name)
    if builder is None:
        raise CheckpointError(
            f"Expected `network` to be one of {sorted(_BUILDERS)}, got {architecture.name!r}. "
            "Use a checkpoint that this version of the app wrote."
        )
    return builder()
