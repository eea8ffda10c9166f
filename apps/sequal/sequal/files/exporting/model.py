"""The network that is exported: the one of a checkpoint whose prediction the app shows."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import torch
from torch import nn

from sequal.errors import SettingsError
from sequal.learning.networks import Architecture, Ensemble, network_definition
from sequal.prediction import load_pair
from sequal.settings import Settings

__all__ = ["ExportedModel"]


@dataclass(frozen=True)
class ExportedModel:
    """A network with what must be known to feed it.

    Attributes:
        network: on the CPU, in evaluation mode; (B, 1, W, H) to (B, 2, W, H) logits, sides multiples of 32.
        name: of its architecture, of both where it is the mean of two networks.
        architecture: how it is built; None where it is the mean of two networks.
        digest: of the checkpoint file, as the ledger and the server's log have it.
        meta: what the checkpoint notes about its making.
        settings: the working grid.
        surroundings: of the labels that taught it, see `Model.clean`; None of starting weights.
    """

    network: nn.Module
    name: str
    architecture: Architecture | None
    digest: str
    meta: dict[str, Any]
    settings: Settings
    surroundings: Mapping[str, float] | None

    @classmethod
    def load(cls, checkpoint: Path, settings: Settings) -> Self:
        """What the app shows of a checkpoint.

        Raises:
            CheckpointError: it cannot be used.
            SettingsError: it was trained on another working grid than the settings say.
        """
        loaded = load_pair(checkpoint, torch.device("cpu"))
        trained = loaded.meta.get("settings")
        spacing = trained.get("working_spacing_mm") if isinstance(trained, dict) else None
        if spacing is not None and spacing != settings.working_spacing_mm:
            raise SettingsError(
                f"Expected `working_spacing_mm` to be {spacing}, with which {checkpoint.name} was trained, got "
                f"{settings.working_spacing_mm}. Add --conf working_spacing_mm={spacing}."
            )
        # Channels-last, the layout of training, would be written into the graph.
        network = loaded.shown.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
        architectures = list(dict.fromkeys(loaded.pair.architectures.values()))
        name = " and ".join(architecture.name for architecture in architectures)
        single = None if isinstance(network, Ensemble) else architectures[0]
        return cls(network.eval(), name, single, loaded.digest, loaded.meta, settings, loaded.surroundings)

    @property
    def definition(self) -> dict[str, Any] | None:
        """How MONAI alone builds the network, in the form of its configuration files; None where it cannot."""
        return None if self.architecture is None else network_definition(self.architecture)
