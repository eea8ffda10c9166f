"""One step's data, as every method gets it."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

__all__ = ["Batch"]


@dataclass(frozen=True)
class Batch:
    """Patches with and without labels, in two views of one geometry.

    Attributes:
        view: float32 (B, 1, *spatial), with an intensity perturbation.
        other_view: float32 (B, 1, *spatial), the same patches with an intensity perturbation of their own.
        label: uint8 (B, 1, *spatial), classes and 255; 255 throughout for the unlabelled part.
        simulated: how many patches at the end are of simulated frames.
    """

    view: Tensor
    other_view: Tensor
    label: Tensor
    simulated: int = 0

    def to(self, device: torch.device) -> "Batch":
        """The same on a device."""
        return replace(
            self, view=self.view.to(device), other_view=self.other_view.to(device), label=self.label.to(device)
        )
