"""`export`: the model in service as a MONAI Bundle, an ONNX file or a TorchScript file, checked."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, get_args

from sequal.commands.console import OUT, table
from sequal.commands.place import StudyPlace
from sequal.errors import CheckpointError, SettingsError, StudyError
from sequal.files.exporting import (
    LARGEST_DIFFERENCE,
    Exported,
    ExportedModel,
    export_bundle,
    export_onnx,
    export_torchscript,
)
from sequal.settings import Settings
from sequal.study.starting_weights import starting_weights
from sequal.study.state import state_root

__all__ = ["ExportOptions", "export_command"]

Format = Literal["bundle", "onnx", "torchscript"]
FORMATS: Final[tuple[str, ...]] = get_args(Format)

#: What is written where no place is named.
_NAMES: Final[Mapping[str, str]] = {
    "bundle": "export/carotid_intima_media",
    "onnx": "export/carotid.onnx",
    "torchscript": "export/carotid.ts",
}
_EXPORTERS: Final[Mapping[str, Callable[[ExportedModel, Path], Exported]]] = {
    "bundle": export_bundle,
    "onnx": export_onnx,
    "torchscript": export_torchscript,
}


@dataclass(frozen=True)
class ExportOptions:
    """What `cli.py export` was asked for.

    Attributes:
        form: one of `FORMATS`.
        studies: folder or address of the study whose published model it is; None: the starting weights.
        out: file or folder; None: a name of its own in `export/`.
        checkpoint: another model.
        app: folder of the app.
        state: the study's state folder; None: where the settings say, else the one in the app's model folder.
        conf: `key=value` settings.
    """

    form: str
    studies: str | None
    out: Path | None
    checkpoint: Path | None
    app: Path
    state: Path | None
    conf: Sequence[str] = ()


def export_command(options: ExportOptions) -> Exported:
    """Write the model, and print what it is, where it is and how well it agrees.

    Raises:
        SequalError: bad options, no usable model, or an export that does not compute what the app computes.
    """
    if options.form not in FORMATS:
        raise SettingsError(f"Expected `--format` to be one of {', '.join(FORMATS)}, got {options.form!r}. Choose one.")
    settings = StudyPlace.settings_of(options.conf)
    StudyPlace.frames_only(settings, "export")
    checkpoint, what = _checkpoint(options, settings)
    model = ExportedModel.load(checkpoint, settings)
    exported = _EXPORTERS[options.form](model, options.out or Path(_NAMES[options.form]))
    rows: list[tuple[str, object]] = [
        ("model", what),
        ("checkpoint", f"{checkpoint} ({model.digest})"),
        ("network", model.name),
        ("written", f"{exported.path} ({_megabytes(exported.path):.1f} MB)"),
        ("largest difference of a logit", f"{exported.difference:.2g} (allowed {LARGEST_DIFFERENCE:g})"),
    ]
    OUT.print(table(f"Exported as {options.form}", ("", ""), rows))
    return exported


def _checkpoint(options: ExportOptions, settings: Settings) -> tuple[Path, str]:
    """The model to export, and what it is."""
    if options.checkpoint is not None:
        return options.checkpoint, "the checkpoint named"
    weights = starting_weights(options.app, settings)
    state = _state(options, settings)
    if state is not None and (state / "published.pt").exists():
        return state / "published.pt", "published by the last round"
    if not weights.exists():
        raise CheckpointError(
            f"Expected a published model or starting weights, got neither in `{state or options.app}`. Train once, "
            "run `cli.py pretrain`, or name a --checkpoint."
        )
    return weights, "starting weights" if state is None else "starting weights: this study has published none"


def _state(options: ExportOptions, settings: Settings) -> Path | None:
    if options.state is not None or settings.state:
        state = options.state or Path(settings.state).expanduser()
        if not state.is_dir():
            raise StudyError(f"Expected the state folder `{state}` to exist, got none. Check the path.")
        return state
    if options.studies is None:
        return None
    if "://" not in options.studies and not Path(options.studies).is_dir():
        raise StudyError(f"Expected `STUDIES` to be a folder or an address, got `{options.studies}`. Check the path.")
    return state_root(options.app, options.studies, settings)


def _megabytes(path: Path) -> float:
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files if file.is_file()) / 1e6
