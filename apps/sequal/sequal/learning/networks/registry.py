"""Networks by name: every architecture takes (B, 1, W, H) and gives (B, 2, W, H) logits.

The default is measured, not guessed: see `benchmarks/networks/`.
"""

import copy
from dataclasses import dataclass
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
from sequal.labels import NUM_CLASSES

__all__ = ["NETWORK_STRIDE", "Architecture", "create_network", "network_definition"]

#: Every side of an input must be a multiple of this many pixels (the deepest architecture halves five times).
NETWORK_STRIDE: Final = 32

_FILTERS: Final = [16, 32, 48, 64, 96, 128]
#: Little, so that a thin layer is not lost; it makes MC-dropout possible and adds no weights.
_DROPOUT: Final = 0.05


@dataclass(frozen=True)
class Architecture:
    """What is needed to build a network again: the name it is registered by."""

    name: str


class _UNetPlusPlus(nn.Module):
    """UNet++, the published S1 network, without deep supervision: one output instead of a list of one."""

    def __init__(self) -> None:
        super().__init__()
        self.net = BasicUNetPlusPlus(2, 1, NUM_CLASSES, features=(16, 24, 32, 64, 96, 16), norm="batch")

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.net(x)[0]
        return logits


#: Class and keyword arguments, so that an export can say how to build the network without this app.
_BUILDERS: Final[dict[str, partial[Any]]] = {
    "dynunet": partial(
        DynUNet,
        spatial_dims=2,
        in_channels=1,
        out_channels=NUM_CLASSES,
        kernel_size=[3] * 6,
        strides=[1, 2, 2, 2, 2, 2],
        upsample_kernel_size=[2, 2, 2, 2, 2],
        filters=[12, 24, 48, 64, 96, 128],
        norm_name=["batch", {}],
        deep_supervision=False,
    ),
    "unet": partial(
        UNet,
        spatial_dims=2,
        in_channels=1,
        out_channels=NUM_CLASSES,
        channels=_FILTERS,
        strides=[2, 2, 2, 2, 2],
        num_res_units=2,
        norm="batch",
        dropout=_DROPOUT,
    ),
    "basic_unet": partial(
        BasicUNet,
        spatial_dims=2,
        in_channels=1,
        out_channels=NUM_CLASSES,
        features=[16, 24, 32, 64, 96, 16],
        norm="batch",
    ),
    "attention_unet": partial(
        AttentionUnet,
        spatial_dims=2,
        in_channels=1,
        out_channels=NUM_CLASSES,
        channels=_FILTERS[:5],
        strides=[2, 2, 2, 2],
    ),
    "segresnet": partial(
        SegResNet,
        spatial_dims=2,
        init_filters=8,
        in_channels=1,
        out_channels=NUM_CLASSES,
        norm="batch",
        blocks_down=[1, 2, 2, 4],
    ),
    "unetplusplus": partial(_UNetPlusPlus),
    "flexible_unet": partial(
        FlexibleUNet,
        in_channels=1,
        out_channels=NUM_CLASSES,
        backbone="efficientnet-b0",
        pretrained=False,
        spatial_dims=2,
    ),
}


def create_network(architecture: Architecture) -> nn.Module:
    """Build the network registered under `architecture.name`, with PyTorch's default initialisation.

    Returns:
        A module from (B, 1, W, H) float32, sides multiples of `NETWORK_STRIDE`, to (B, 2, W, H) logits.

    Raises:
        CheckpointError: no architecture has this name (a checkpoint from another version of the app, say).
    """
    network: nn.Module = _builder(architecture)()
    return network


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


def _builder(architecture: Architecture) -> partial[Any]:
    builder = _BUILDERS.get(architecture.name)
    if builder is None:
        raise CheckpointError(
            f"Expected `network` to be one of {sorted(_BUILDERS)}, got {architecture.name!r}. "
            "Use a checkpoint that this version of the app wrote."
        )
    return builder
