"""The measurements that `to-dicom` writes beside the DICOM objects, as CSV and JSON."""

import csv
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from sequal.errors import StudyError
from sequal.files.dicom import ImageBundle
from sequal.study.state import atomic_write

__all__ = ["measurement_rows", "write_measurements"]

_LENGTHS: Final = ("mean", "max", "sd", "polyline_mean", "length")
_COLUMNS: Final = (
    "image",
    "patient",
    "frame",
    "label",
    *(f"{name}_{unit}" for unit in ("mm", "px") for name in _LENGTHS),
    "columns",
    "calibrated",
    "calibration_source",
    "flags",
    "study_uid",
    "image_uid",
    "segmentation_uid",
    "report_uid",
)


def measurement_rows(image: str, patient: str, bundle: ImageBundle) -> list[dict[str, object]]:
    """One row a label and frame, in the order of the clip; an image without a label has none.

    Args:
        image: its id in the study.
        patient: as the study names the patient.
        bundle: the image's DICOM objects.

    Returns:
        What was measured (`ImtMeasurement.as_params`), `label` (final or refined), and the UIDs of the objects.
    """
    return [
        {
            "image": image,
            "patient": patient,
            "frame": index,
            "label": objects.label.kind,
            **imt.as_params(),
            "study_uid": bundle.identity.study_uid,
            "image_uid": str(bundle.images[index].SOPInstanceUID),
            "segmentation_uid": str(objects.segmentation.SOPInstanceUID),
            "report_uid": None if objects.report is None else str(objects.report.SOPInstanceUID),
        }
        for objects in bundle.labels
        for index, imt in enumerate(objects.measurements)
    ]


def write_measurements(folder: Path, rows: Sequence[Mapping[str, object]]) -> None:
    """Write `measurements.csv` and `measurements.json`.

    Lengths stand in the `_mm` columns when the image is calibrated, else in the `_px` columns.

    Args:
        folder: exists.
        rows: as `measurement_rows` gives them.

    Raises:
        StudyError: they cannot be written.
    """
    text = io.StringIO()
    writer = csv.DictWriter(text, _COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows({key: _cell(value) for key, value in row.items()} for row in rows)
    contents = {"measurements.csv": text.getvalue(), "measurements.json": json.dumps(rows, indent=1) + "\n"}
    for name, content in contents.items():
        try:
            with atomic_write(folder / name) as file:
                file.write(content.encode())
        except OSError as error:
            raise StudyError(
                f"Expected `{folder / name}` to be writable, got: {error}. Close it, or name another --out."
            ) from error


def _cell(value: object) -> object:
    if isinstance(value, list):
        return " ".join(value)
    return f"{value:.6g}" if isinstance(value, float) else value
