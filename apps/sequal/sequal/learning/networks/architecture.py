"""What is needed to build a network again, and how a checkpoint writes it down."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Final, Self

import torch
from torch import Tensor

from sequal.errors import CheckpointError

__all__ = ["NETWORK_STRIDE", "Architecture"]

#: Every side of a 2-D input must be a multiple of this many pixels (the deepest architecture halves five times).
NETWORK_STRIDE: Final = 32
_STRIDE_3D: Final = 16
_HALVES_FIVE_TIMES_IN_3D: Final = ("flexible_unet",)


@dataclass(frozen=True)
class Architecture:
    """A network of the registry with its size.

    Attributes:
        name: that it is registered by.
        spatial_dims: 2 or 3.
        in_channels: of the image, ≥ 1.
        classes: channels of the logits, background included, ≥ 2.
        filters: feature maps of the first level, by which all other levels are scaled; None: as registered.
    """

    name: str
    spatial_dims: int = 2
    in_channels: int = 1
    classes: int = 2
    filters: int | None = None

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Self:
        """Read what `record` wrote; an older checkpoint names nothing but the network.

        Raises:
            CheckpointError: the record has an argument that this version of the app does not know.

        >>> Architecture.from_record({"name": "unet", "kwargs": {}})
        Architecture(name='unet', spatial_dims=2, in_channels=1, classes=2, filters=None)
        """
        kwargs = dict(record.get("kwargs") or {})
        known = {field.name for field in fields(cls)} - {"name"}
        if not kwargs.keys() <= known:
            raise CheckpointError(
                f"Expected the arguments of the network in a checkpoint to be some of {sorted(known)}, got "
                f"{sorted(kwargs)}. Use the version of the app that wrote the checkpoint, or a newer one."
            )
        return cls(record["name"], **kwargs)

    def record(self) -> dict[str, Any]:
        """`{"name": …, "kwargs": …}` of plain values, for a checkpoint; what has its default value is left out.

        >>> Architecture("vnet", spatial_dims=3, filters=8).record()
        {'name': 'vnet', 'kwargs': {'spatial_dims': 3, 'filters': 8}}
        """
        defaults = {field.name: field.default for field in fields(self)}
        return {
            "name": self.name,
            "kwargs": {key: value for key, value in asdict(self).items() if value != defaults[key] and key != "name"},
        }

    @property
    def stride(self) -> int:
        """Every side of an input must be a multiple of this many pixels or voxels."""
        deep = self.spatial_dims == 2 or self.name in _HALVES_FIVE_TIMES_IN_3D
        return NETWORK_STRIDE if deep else _STRIDE_3D

    def example(self) -> Tensor:
        """Zeros float32 (1, in_channels, *spatial) of the smallest size at which no map shrinks to a single value."""
        return torch.zeros(1, self.in_channels, *[2 * self.stride] * self.spatial_dims)
