"""Networks by name: every architecture takes (B, in_channels, *spatial) and gives logits (B, classes, *spatial).

The default is measured, not guessed: see `benchmarks/networks/`.
"""

import copy
from collections.abc import Callable
from functools import partial
from typing import Any, Final

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

from sequal.errors import CheckpointError
from sequal.learning.networks.architecture import Architecture
from sequal.learning.networks.dropout import cheap_dropout
from sequal.learning.networks.vnet import Encoder, VNet

__all__ = ["create_network", "network_definition"]

_FILTERS: Final = (16, 32, 48, 64, 96, 128)
#: The last one is the width of the layer before the logits.
_FEATURES: Final = (16, 24, 32, 64, 96, 16)
#: Little, so that a thin layer is not lost; it makes MC-dropout possible and adds no weights.
_DROPOUT: Final = 0.05

#: Class and keyword arguments, so that an export can say how to build the network without this app.
_Builder = partial[Any]


class _UNetPlusPlus(nn.Module):
    """UNet++, the published S1 network, without deep supervision: one output instead of a list of one."""

    def __init__(self, spatial_dims: int, in_channels: int, out_channels: int, features: list[int]) -> None:
        super().__init__()
        self.net = BasicUNetPlusPlus(spatial_dims, in_channels, out_channels, features=features, norm="batch")

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.net(x)[0]
        return logits


def _widths(architecture: Architecture, registered: tuple[int, ...]) -> list[int]:
    """Feature maps of each level."""
    filters = architecture.filters or registered[0]
    return [max(1, width * filters // registered[0]) for width in registered]


def _levels(architecture: Architecture, registered: tuple[int, ...]) -> list[int]:
    """As `_widths`; volumes are halved once less, since few have more than a hundred slices."""
    widths = _widths(architecture, registered)
    return widths if architecture.spatial_dims == 2 else widths[:-1]


def _ends(architecture: Architecture) -> dict[str, int]:
    return {
        "spatial_dims": architecture.spatial_dims,
        "in_channels": architecture.in_channels,
        "out_channels": architecture.classes,
    }


def _dynunet(architecture: Architecture) -> _Builder:
    filters = _levels(architecture, (12, 24, 48, 64, 96, 128))
    return partial(
        DynUNet,
        **_ends(architecture),
        kernel_size=[3] * len(filters),
        strides=[1] + [2] * (len(filters) - 1),
        upsample_kernel_size=[2] * (len(filters) - 1),
        filters=filters,
        norm_name=["batch", {}],
        deep_supervision=False,
    )


def _unet(architecture: Architecture) -> _Builder:
    channels = _levels(architecture, _FILTERS)
    return partial(
        UNet,
        **_ends(architecture),
        channels=channels,
        strides=[2] * (len(channels) - 1),
        num_res_units=2,
        norm="batch",
        dropout=_DROPOUT,
    )


def _basic_unet(architecture: Architecture) -> _Builder:
    return partial(BasicUNet, **_ends(architecture), features=_widths(architecture, _FEATURES), norm="batch")


def _attention_unet(architecture: Architecture) -> _Builder:
    channels = _widths(architecture, _FILTERS[:5])
    return partial(AttentionUnet, **_ends(architecture), channels=channels, strides=[2] * (len(channels) - 1))


def _segresnet(architecture: Architecture) -> _Builder:
    return partial(
        SegResNet,
        **_ends(architecture),
        init_filters=architecture.filters or 8,
        norm="batch",
        blocks_down=[1, 2, 2, 4],
    )


def _unetplusplus(architecture: Architecture) -> _Builder:
    return partial(_UNetPlusPlus, **_ends(architecture), features=_widths(architecture, _FEATURES))


def _flexible_unet(architecture: Architecture) -> _Builder:
    if architecture.filters is not None:
        raise CheckpointError(
            f"Expected no `filters` for the network flexible_unet, got {architecture.filters}. "
            "Its encoder has fixed widths: leave `filters` out, or choose another network."
        )
    return partial(FlexibleUNet, **_ends(architecture), backbone="efficientnet-b0", pretrained=False)


def _vnet(architecture: Architecture, encoder: Encoder) -> _Builder:
    return partial(
        VNet,
        spatial_dims=architecture.spatial_dims,
        in_channels=architecture.in_channels,
        classes=architecture.classes,
        filters=architecture.filters or 16,
        encoder=encoder,
    )


_BUILDERS: Final[dict[str, Callable[[Architecture], _Builder]]] = {
    "dynunet": _dynunet,
    "unet": _unet,
    "basic_unet": _basic_unet,
    "attention_unet": _attention_unet,
    "segresnet": _segresnet,
    "unetplusplus": _unetplusplus,
    "flexible_unet": _flexible_unet,
    "vnet": partial(_vnet, encoder="convolutions"),
    "resnet_vnet": partial(_vnet, encoder="resnet34"),
}


def create_network(architecture: Architecture) -> nn.Module:
    """Build the network registered under `architecture.name`, with PyTorch's default initialisation.

    Returns:
        A module from (B, in_channels, *spatial) float32, sides multiples of `architecture.stride`, to logits
        (B, classes, *spatial).

    Raises:
        CheckpointError: no architecture has this name (a checkpoint from another version of the app, say), or it
            cannot have these arguments.
    """
    return cheap_dropout(_builder(architecture)())


def network_definition(architecture: Architecture) -> dict[str, Any] | None:
    """How to build a network from MONAI alone, in the form of MONAI's configuration files.

    Returns:
        `{"_target_": class, **arguments}`, JSON-ready; None for an architecture that MONAI does not have as it is.

    Raises:
        CheckpointError: as `create_network`.

    >>> definition = network_definition(Architecture("unet"))
    >>> definition["_target_"], definition["channels"]
    ('monai.networks.nets.UNet', [16, 32, 48, 64, 96, 128])
    >>> network_definition(Architecture("unetplusplus")) is None
    True
    """
    builder = _builder(architecture)
    if not builder.func.__module__.startswith("monai."):
        return None
    return {"_target_": f"monai.networks.nets.{builder.func.__name__}", **copy.deepcopy(builder.keywords)}


def _builder(architecture: Architecture) -> _Builder:
    builder = _BUILDERS.get(architecture.name)
    if builder is None:
        raise CheckpointError(
            f"Expected `network` to be one of {sorted(_BUILDERS)}, got {architecture.name!r}. "
            "Use a checkpoint that this version of the app wrote."
        )
    return builder(architecture)
