"""`import`: files of other programs into a study."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from sequal.commands.console import OUT, progress_bar, table
from sequal.commands.measuring.measure import parse_spacing
from sequal.errors import SettingsError, StudyError
from sequal.files.imaging import NOT_CALIBRATED
from sequal.files.importing import ImportedImage, ImportOptions, ImportReport, Problem, run_import

__all__ = ["import_command", "spacing_option", "voxel_option"]

_SHOWN: Final = 20
#: A clip takes seconds, so the speed is judged by the last minute.
_MEMORY_S: Final = 60.0
#: From microscopy of small animals to thick slices; what lies outside is another unit.
_SMALLEST_VOXEL_MM, _LARGEST_VOXEL_MM = 0.01, 20.0


def import_command(source: Path, studies: Path, options: ImportOptions, *, dry_run: bool = False) -> None:
    """Import with a progress bar, and print what came in and what did not.

    Args:
        source: a folder or one file.
        studies: the studies folder; made if missing.
        options: of the import.
        dry_run: list what would be done.

    Raises:
        StudyError: source or study cannot be used, or no file of the source could be.
        SequalError: as `run_import`.
    """
    with progress_bar(_MEMORY_S) as bar:
        task = bar.add_task("Looking", total=None)
        report = run_import(
            source,
            studies,
            options,
            dry_run=dry_run,
            found_one=lambda _: bar.update(task, advance=1),
            start=lambda total: bar.update(task, description="Importing", total=total, completed=0),
            done_one=lambda _: bar.update(task, advance=1),
        )
    _print(report, studies, dry_run)
    if not report.imported and not report.known:
        unusable = [*report.problems, *report.others]
        first = f" {unusable[0].name}: {unusable[0].reason}" if unusable else ""
        raise StudyError(
            f"Expected at least one usable image in `{source}`, got none, and {len(unusable)} files that cannot "
            f"be used.{first}"
        )


def spacing_option(text: str | None) -> tuple[float, float] | None:
    """The value of `--spacing-mm`, X or X,Y.

    Raises:
        SettingsError: it is neither.
    """
    return None if text is None else parse_spacing(text)


def voxel_option(text: str | None) -> tuple[float, float, float] | None:
    """The value of `--voxel-mm`, X or X,Y,Z.

    Raises:
        SettingsError: it is neither, or no size of a voxel.

    >>> voxel_option("0.625"), voxel_option("0.8,0.8,2.5")
    ((0.625, 0.625, 0.625), (0.8, 0.8, 2.5))
    """
    if text is None:
        return None
    try:
        numbers = [float(part) for part in text.split(",")]
    except ValueError:
        numbers = []
    if len(numbers) not in (1, 3) or not all(_SMALLEST_VOXEL_MM <= x <= _LARGEST_VOXEL_MM for x in numbers):
        raise SettingsError(
            f"Expected `--voxel-mm` to be millimetres, X or X,Y,Z, each from {_SMALLEST_VOXEL_MM:g} to "
            f"{_LARGEST_VOXEL_MM:g}, got {text!r}. Write for example --voxel-mm 0.625."
        )
    return numbers[0], numbers[len(numbers) // 2], numbers[-1]


def _print(report: ImportReport, studies: Path, dry_run: bool) -> None:
    images = report.imported if dry_run else report.imported[:_SHOWN]
    if images:
        columns = ("image", "source", "patient", "W x H x F", "mm per pixel", "labels")
        OUT.print(table("Would be imported" if dry_run else "Imported", columns, [_row(image) for image in images]))
    if len(images) < len(report.imported):
        OUT.print(f"... and {len(report.imported) - len(images)} more images")
    _print_grouped("Left out", report.problems)
    _print_grouped("No images", report.others)
    _print_grouped("Look at these", report.notes)
    OUT.print(_summary(report, studies, dry_run), markup=False, soft_wrap=True)
    if len(report.readers) > 1 and report.final is None:
        OUT.print(
            f"Several readers ({', '.join(report.readers)}) are stored as labels of their own. None of them is the "
            "expert's label yet: choose one with --final READER, or leave the images to be labelled.",
            markup=False,
        )


def _row(image: ImportedImage) -> tuple[object, ...]:
    spacing = image.calibration.spacing_mm
    size = " x ".join(str(length) for length in image.grid)
    if spacing is not None:
        written = f"{spacing[0]:.4g} x {spacing[1]:.4g}"
    else:
        written = "not calibrated" if image.calibration == NOT_CALIBRATED else image.calibration.source
    return image.image, image.name, image.patient or None, size, written, ", ".join(image.tags) or None


def _print_grouped(title: str, problems: Sequence[Problem]) -> None:
    """Every file by name; those with the same reason in one row."""
    names: dict[str, list[str]] = {}
    for problem in problems:
        names.setdefault(problem.reason, []).append(problem.name)
    if names:
        OUT.print(table(title, ("file", "reason"), [(", ".join(files), reason) for reason, files in names.items()]))


def _summary(report: ImportReport, studies: Path, dry_run: bool) -> str:
    new, added = len(report.imported), len(report.labels_added)
    plain = sum(image.calibration.spacing_mm is None for image in report.imported)
    expert = sum("final" in image.tags for image in report.imported)
    parts = [
        f"{_count(new, 'image')} {'would be ' if dry_run else ''}imported into {studies}",
        f"{expert} of them with an expert's label",
        f"{plain} not calibrated",
        f"{report.known} imported before",
    ]
    parts += [f"{_count(added, 'label')} added to those"] if added else []
    parts += [f"{_count(len(report.problems), 'file')} left out"] if report.problems else []
    parts += [f"{_count(len(report.others), 'file')} without an image"] if report.others else []
    return "; ".join(parts) + "."


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
