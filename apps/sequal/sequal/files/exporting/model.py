"""The network that is exported: the teacher of a checkpoint, whose prediction the app shows."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import torch
from torch import nn

from sequal.errors import SettingsError
from sequal.learning.networks import Architecture
from sequal.prediction import load_pair
from sequal.settings import Settings

__all__ = ["ExportedModel"]


@dataclass(frozen=True)
class ExportedModel:
    """A network with what must be known to feed it.

    Attributes:
        network: on the CPU, in evaluation mode; (B, 1, W, H) to (B, 2, W, H) logits, sides multiples of 32.
        architecture: its name.
        digest: of the checkpoint file, as the ledger and the server's log have it.
        meta: what the checkpoint notes about its making.
        settings: the working grid.
    """

    network: nn.Module
    architecture: Architecture
    digest: str
    meta: dict[str, Any]
    settings: Settings

    @classmethod
    def load(cls, checkpoint: Path, settings: Settings) -> Self:
        """The teacher of a checkpoint.

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
        network = loaded.pair.teacher.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
        return cls(network.eval(), loaded.pair.architecture, loaded.digest, loaded.meta, settings)
