"""`measure`: thickness tables and pictures of a folder of images, a PACS or a running server."""

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from sequal.commands.address import is_server, of_model
from sequal.commands.annotating.client import AnnotationClient
from sequal.commands.console import OUT, progress_bar, table
from sequal.commands.measuring.images import (
    Measurer,
    MeasureResult,
    from_labels,
    from_model,
    from_server,
    measure_images,
)
from sequal.commands.measuring.overlay import write_overlay
from sequal.commands.measuring.source import MeasureSource
from sequal.commands.measuring.tables import patient_rows
from sequal.commands.pacs_study import PacsStudy
from sequal.commands.place import StudyPlace, output_folder
from sequal.errors import CheckpointError, SettingsError
from sequal.settings import Settings
from sequal.study.starting_weights import starting_weights
from sequal.study.state import state_root

__all__ = ["measure_command", "parse_spacing"]

_SHOWN = 20


def measure_command(
    studies: str,
    out: Path,
    *,
    app: Path,
    checkpoint: Path | None = None,
    labels: Path | None = None,
    spacing: str | None = None,
    overlays: bool = True,
    conf: Sequence[str] = (),
) -> None:
    """Measure every image of a study with a progress bar, and print the patients and what was left out.

    Args:
        studies: a folder, the DICOMweb address of a PACS, or the address of a running server.
        out: where tables and pictures go.
        app: folder of the app, for the model in service.
        checkpoint: the model; None: the one in service for this study, else the starting weights.
        labels: measure these instead of predictions.
        spacing: as `parse_spacing`.
        overlays: make pictures.
        conf: `key=value` settings.

    Raises:
        SequalError: bad options, no usable model or label, or nothing measured.
    """
    if checkpoint is not None and labels is not None:
        raise SettingsError("Expected one of --checkpoint and --labels, got both. Leave one out.")
    settings = StudyPlace.settings_of(conf)
    StudyPlace.frames_only(settings, "measure")
    spacing_mm = None if spacing is None else parse_spacing(spacing)
    with _source(studies, app, settings, spacing_mm) as (source, at_server):
        if at_server is not None and checkpoint is None and labels is None:
            measurer = from_server(at_server)
        else:
            measurer = _measurer(studies, app, checkpoint, labels, settings)
        with progress_bar() as bar:
            task = bar.add_task("Measuring", total=len(source.names))
            result = measure_images(
                source,
                output_folder(out),
                measurer,
                draw=write_overlay if overlays else None,
                progress=lambda _: bar.update(task, advance=1),
            )
    _print(result, out, labels)
    if labels is None:
        _say_where_labels_are(studies)


@contextmanager
def _source(
    studies: str, app: Path, settings: Settings, spacing_mm: tuple[float, float] | None
) -> Iterator[tuple[MeasureSource, AnnotationClient | None]]:
    """The images, and the server where there is one."""
    if "://" not in studies:
        yield MeasureSource.folder(Path(studies), settings.patient_pattern, spacing_mm), None
    elif not is_server(studies):
        yield MeasureSource.pacs(PacsStudy.find(studies, _state(studies, app, settings)), spacing_mm), None
    else:
        if spacing_mm is not None:
            raise SettingsError(
                f"Expected no --spacing-mm for {studies}, got one. A running server measures by what its images say."
            )
        with tempfile.TemporaryDirectory() as folder:
            client = AnnotationClient(of_model(studies, settings.model), "measure", Path(folder))
            yield MeasureSource.server(studies, client, settings.patient_pattern), client


def parse_spacing(text: str) -> tuple[float, float]:
    """One number, or the lateral and the axial one with a comma between them.

    Raises:
        SettingsError: it is neither.

    >>> parse_spacing("0.06"), parse_spacing("0.06,0.05")
    ((0.06, 0.06), (0.06, 0.05))
    """
    if "," in text and "." not in text:  # whole millimetres are no pixels
        raise SettingsError(
            f"Expected `--spacing-mm` to have a point in each number, got {text!r}. Write for example "
            f"--spacing-mm {text.replace(',', '.', 1)}."
        )
    try:
        numbers = [float(part) for part in text.split(",")]
    except ValueError:
        numbers = []
    if len(numbers) not in (1, 2):
        raise SettingsError(
            f"Expected `--spacing-mm` to be millimetres per pixel, X or X,Y, got {text!r}. "
            "Write for example --spacing-mm 0.06."
        )
    return numbers[0], numbers[-1]


def _state(studies: str, app: Path, settings: Settings) -> Path:
    return state_root(app, studies, settings)


def _measurer(studies: str, app: Path, checkpoint: Path | None, labels: Path | None, settings: Settings) -> Measurer:
    if labels is not None:
        return from_labels(labels)
    if checkpoint is None:
        candidates = (_state(studies, app, settings) / "published.pt", starting_weights(app, settings))
        checkpoint = next((path for path in candidates if path.exists()), None)
        if checkpoint is None:
            raise CheckpointError(
                f"Expected a published checkpoint or starting weights, got neither `{candidates[0]}` nor "
                f"`{candidates[1]}`. Name one with --checkpoint, or run `cli.py pretrain`."
            )
    return from_model(checkpoint, settings)


def _print(result: MeasureResult, out: Path, labels: Path | None) -> None:
    rows = [
        row | {"flags": str(row["flags"]).replace(" ", ", ").replace("_", " ")} for row in patient_rows(result.images)
    ]
    keys = ["patient", "images", "frames"]
    keys += [
        f"{name}_{unit}"
        for unit in ("mm", "px")
        for name in ("imt_mean", "imt_max")
        if any(f"{name}_{unit}" in row for row in rows)
    ]
    keys.append("flags")
    cells = [tuple(row.get(key) for key in keys) for row in rows[:_SHOWN]]
    columns = [key.removeprefix("imt_").replace("_", " ") for key in keys]
    whose = "the model's masks" if labels is None else f"the labels in {labels}"
    OUT.print(table(f"Intima-media thickness of {whose}", columns, cells))
    if len(rows) > _SHOWN:
        OUT.print(f"... and {len(rows) - _SHOWN} more patients in patients.csv")
    if result.left_out:
        OUT.print(table("Left out", ("image", "reason"), list(result.left_out.items())))
    OUT.print(
        f"{result.measured_frames} frames of {len(result.images)} images measured: frames.csv, patients.csv and "
        f"pictures in {out}",
        markup=False,
    )


def _say_where_labels_are(studies: str) -> None:
    """Also in a labelled image the model's mask was measured: tell how its label is."""
    folder = Path(studies) / "labels" / "final"
    if "://" not in studies and folder.is_dir():
        OUT.print(f"Saved labels were not measured. --labels {folder} measures those.", markup=False)
