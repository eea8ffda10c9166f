"""`measure`: thickness tables and pictures of a folder of images."""

from collections.abc import Sequence
from pathlib import Path

from lib.commands.console import OUT, progress_bar, table
from lib.commands.measure_images import (
    Measurer,
    MeasureResult,
    from_labels,
    from_model,
    images_to_measure,
    measure_folder,
)
from lib.commands.measure_overlay import write_overlay
from lib.commands.measure_tables import patient_rows
from lib.commands.place import StudyPlace, output_folder
from lib.errors import CheckpointError, SettingsError
from lib.settings import Settings
from lib.state import study_state_folder
from lib.study_folder import STARTING_WEIGHTS

__all__ = ["measure_command", "parse_spacing"]

_SHOWN = 20


def measure_command(
    folder: Path,
    out: Path,
    *,
    app: Path,
    checkpoint: Path | None = None,
    labels: Path | None = None,
    spacing: str | None = None,
    overlays: bool = True,
    conf: Sequence[str] = (),
) -> None:
    """Measure a folder with a progress bar, and print the patients and what was left out.

    Args:
        folder: the images.
        out: where tables and pictures go.
        app: folder of the app, for the model in service of this folder.
        checkpoint: the model; None: the one published for this folder as a study, else the starting weights.
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
    spacing_mm = None if spacing is None else parse_spacing(spacing)
    total = len(images_to_measure(folder))
    measurer = _measurer(folder, app, checkpoint, labels, settings)
    with progress_bar() as bar:
        task = bar.add_task("Measuring", total=total)
        result = measure_folder(
            folder,
            output_folder(out),
            measurer,
            spacing_mm=spacing_mm,
            patient_pattern=settings.patient_pattern,
            draw=write_overlay if overlays else None,
            progress=lambda _: bar.update(task, advance=1),
        )
    _print(result, out)


def parse_spacing(text: str) -> tuple[float, float]:
    """One number, or the lateral and the axial one with a comma between them.

    Raises:
        SettingsError: it is neither.

    >>> parse_spacing("0.06"), parse_spacing("0.06,0.05")
    ((0.06, 0.06), (0.06, 0.05))
    """
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


def _measurer(folder: Path, app: Path, checkpoint: Path | None, labels: Path | None, settings: Settings) -> Measurer:
    if labels is not None:
        return from_labels(labels)
    if checkpoint is None:
        candidates = (study_state_folder(app, str(folder)) / "published.pt", app / "model" / STARTING_WEIGHTS)
        checkpoint = next((path for path in candidates if path.exists()), None)
        if checkpoint is None:
            raise CheckpointError(
                f"Expected a published checkpoint or starting weights, got neither `{candidates[0]}` nor "
                f"`{candidates[1]}`. Name one with --checkpoint, or run `cli.py pretrain`."
            )
    return from_model(checkpoint, settings)


def _print(result: MeasureResult, out: Path) -> None:
    rows = patient_rows(result.images)
    columns = ["patient", "images", "frames"]
    columns += [
        f"{name}_{unit}"
        for unit in ("mm", "px")
        for name in ("imt_mean", "imt_max")
        if any(f"{name}_{unit}" in row for row in rows)
    ]
    columns.append("flags")
    cells = [tuple(row.get(column) for column in columns) for row in rows[:_SHOWN]]
    OUT.print(table("Intima-media thickness", columns, cells))
    if len(rows) > _SHOWN:
        OUT.print(f"... and {len(rows) - _SHOWN} more patients in patients.csv")
    if result.left_out:
        OUT.print(table("Left out", ("image", "reason"), list(result.left_out.items())))
    OUT.print(
        f"{result.measured_frames} frames of {len(result.images)} images measured: frames.csv, patients.csv and "
        f"pictures in {out}",
        markup=False,
    )
