"""The network as a MONAI Bundle: a folder that MONAI runs without this app."""

import hashlib
import json
import logging
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any, Final

import torch
from torch import nn

from sequal.anatomy.layer import pieces
from sequal.errors import ExportError
from sequal.files.exporting import bundle_scripts
from sequal.files.exporting.agreement import check_agreement
from sequal.files.exporting.bundle_config import SCRIPTS, WEIGHTS, WEIGHTS_TRACED, inference_config
from sequal.files.exporting.bundle_readme import bundle_readme
from sequal.files.exporting.metadata import bundle_metadata
from sequal.files.exporting.metadata_rules import METADATA_RULES
from sequal.files.exporting.model import ExportedModel
from sequal.files.exporting.reason import reason
from sequal.files.exporting.torchscript_file import save_torchscript
from sequal.files.exporting.written import Exported, staged
from sequal.preparation import normalisation

__all__ = ["export_bundle"]

_CONFIG: Final = "configs/inference.json"
_METADATA: Final = "configs/metadata.json"
_RULES: Final = "configs/metadata.schema.json"
_README: Final = "docs/README.md"


def export_bundle(model: ExportedModel, target: Path) -> Exported:
    """Write the network as a MONAI Bundle, verify it as MONAI does, and check it against the network.

    Args:
        model: the network.
        target: the folder; new or empty.

    Raises:
        ExportError: it cannot be written, does not pass its verification, or computes something else.
    """
    with staged(target) as folder:
        _write(model, folder)
        _verify(folder)
        difference = check_agreement(model.network, _load(folder), "bundle")
    return Exported(target, difference)


def _write(model: ExportedModel, folder: Path) -> None:
    for part in ("configs", "docs", "models"):
        (folder / part).mkdir(parents=True)
    for name, content in (
        (_CONFIG, inference_config(model)),
        (_METADATA, bundle_metadata(model)),
        (_RULES, METADATA_RULES),
    ):
        (folder / name).write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    (folder / _README).write_text(bundle_readme(model), encoding="utf-8")
    scripts = Path(bundle_scripts.__path__[0])
    shutil.copytree(scripts, folder / SCRIPTS, ignore=shutil.ignore_patterns("__pycache__"))
    for module in (normalisation, pieces):
        own = Path(str(module.__file__))
        shutil.copyfile(own, folder / SCRIPTS / own.name)
    torch.save(model.network.state_dict(), folder / WEIGHTS)
    if model.definition is None:
        save_torchscript(model, folder / WEIGHTS_TRACED)


def _verify(folder: Path) -> None:
    from monai.bundle import verify_metadata, verify_net_in_out

    try:
        with _quiet():
            # The file is there, so nothing is downloaded; without its digest MONAI warns of that on every export.
            digest = hashlib.sha256((folder / _RULES).read_bytes()).hexdigest()
            verify_metadata(
                meta_file=str(folder / _METADATA), filepath=str(folder / _RULES), hash_val=digest, hash_type="sha256"
            )
            verify_net_in_out(
                "network_def",
                meta_file=str(folder / _METADATA),
                config_file=str(folder / _CONFIG),
                device="cpu",
                n=2,
                bundle_root=str(folder),
            )
    except (ValueError, KeyError, RuntimeError) as error:
        raise ExportError(
            f"Expected the bundle to pass MONAI's verification, got: {reason(error)}. Export in another format."
        ) from error


def _load(folder: Path) -> nn.Module:
    """The network as the bundle's own files describe it."""
    from monai.bundle import ConfigParser

    parser = ConfigParser()
    with _quiet():
        parser.read_config(str(folder / _CONFIG))
        parser["bundle_root"] = str(folder)
        network: nn.Module = parser.get_parsed_content("network_def")
    weights: dict[str, Any] = torch.load(folder / WEIGHTS, map_location="cpu", weights_only=True)
    network.load_state_dict(weights)
    return network.eval()


@contextmanager
def _quiet() -> Iterator[None]:
    """Without MONAI's protocol of what it verified, which goes to standard output."""
    root = logging.root.manager.disable
    logging.disable(logging.INFO)
    try:
        with redirect_stdout(StringIO()):
            yield
    finally:
        logging.disable(root)
