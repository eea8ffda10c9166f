"""The network as one TorchScript file."""

import json
import warnings
from pathlib import Path

import torch

from sequal.errors import ExportError
from sequal.files.exporting.agreement import check_agreement, example_input
from sequal.files.exporting.metadata import bundle_metadata
from sequal.files.exporting.model import ExportedModel
from sequal.files.exporting.reason import reason
from sequal.files.exporting.written import Exported, staged

__all__ = ["METADATA_FILE", "export_torchscript", "save_torchscript"]

#: Inside the archive; `torch.jit.load(file, _extra_files={"metadata.json": ""})` reads it.
METADATA_FILE = "metadata.json"


def export_torchscript(model: ExportedModel, target: Path) -> Exported:
    """Write the network as TorchScript, any batch and any size in multiples of 32, and check it.

    Args:
        model: the network.
        target: the file; one that is there is replaced when all went well.

    Raises:
        ExportError: it cannot be written or traced, or computes something else.
    """
    with staged(target) as file:
        save_torchscript(model, file)
        loaded = torch.jit.load(file, map_location="cpu")  # type: ignore[no-untyped-call]
        difference = check_agreement(model.network, loaded, "TorchScript file")
    return Exported(target, difference)


def save_torchscript(model: ExportedModel, file: Path) -> None:
    """Trace the network and save it with its metadata.

    Raises:
        ExportError: it cannot be traced.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            traced = torch.jit.trace(model.network, example_input())  # type: ignore[no-untyped-call]
    except RuntimeError as error:
        raise ExportError(
            f"Expected the network {model.name!r} to be one that can be traced, got: "
            f"{reason(error)}. Export in another format."
        ) from error
    torch.jit.save(traced, file, _extra_files={METADATA_FILE: json.dumps(bundle_metadata(model))})
