"""The tables that `measure` writes: the unit stands in the column's name, and no calibration means no millimetres."""

import csv
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from sequal.anatomy.measurement import Boundaries, ImtMeasurement
from sequal.errors import StudyError

__all__ = ["MeasuredFrame", "MeasuredImage", "patient_rows", "write_frames", "write_patients"]

_UNITS: Final = ("mm", "px")
_LENGTHS: Final = ("imt_mean", "imt_max", "imt_sd", "imt_polyline_mean", "length")
_FRAME_COLUMNS: Final = (
    "image",
    "image_id",
    "frame",
    "patient",
    *(f"{name}_{unit}" for unit in _UNITS for name in _LENGTHS),
    "columns",
    "spacing_x_mm",
    "spacing_y_mm",
    "calibration_source",
    "flags",
    "image_confidence",
    "image_pld",
)
_PATIENT_COLUMNS: Final = (
    "patient",
    "images",
    "frames",
    *(f"{name}_{unit}" for unit in _UNITS for name in ("frames_measured", "imt_mean", "imt_max")),
    "flags",
)


@dataclass(frozen=True, eq=False)
class MeasuredFrame:
    """One frame's measurement.

    Attributes:
        index: of the frame in its image, from 0.
        imt: the thickness.
        boundaries: what was measured, in pixels.
        confidence: of the whole image, 0..1; None for a label, and where nothing was found.
        pld: of the whole image, higher is asked for first; None for a label.
    """

    index: int
    imt: ImtMeasurement
    boundaries: Boundaries
    confidence: float | None
    pld: float | None


@dataclass(frozen=True, eq=False)
class MeasuredImage:
    """One image's measurements.

    Attributes:
        id: image id.
        patient: whose image it is.
        frames: in the order of the clip.
        name: what people call it; empty: the id.
    """

    id: str
    patient: str
    frames: list[MeasuredFrame]
    name: str = ""

    @property
    def title(self) -> str:
        """What people call the image."""
        return self.name or self.id


def write_frames(path: Path, images: Iterable[MeasuredImage]) -> None:
    """One row a frame; lengths stand in the `_mm` columns when calibrated, else in the `_px` columns.

    Raises:
        StudyError: the file cannot be written.
    """
    _write(path, _FRAME_COLUMNS, [_frame_row(image, frame) for image in images for frame in image.frames])


def write_patients(path: Path, images: Iterable[MeasuredImage]) -> None:
    """One row a patient, see `patient_rows`.

    Raises:
        StudyError: the file cannot be written.
    """
    _write(path, _PATIENT_COLUMNS, patient_rows(images))


def patient_rows(images: Iterable[MeasuredImage]) -> list[dict[str, object]]:
    """The thickness of each patient, sorted by patient.

    Returns:
        A row a patient. `imt_mean` is the mean over the patient's images, each the mean over its frames that show
        the layer, so that a long clip counts as much as a still; `imt_max` is the largest of all. Calibrated and
        not calibrated images are never mixed: each unit has its own columns, absent when there is nothing.
    """
    by_patient: dict[str, list[MeasuredImage]] = {}
    for image in images:
        by_patient.setdefault(image.patient, []).append(image)
    return [_patient_row(patient, by_patient[patient]) for patient in sorted(by_patient)]


def _patient_row(patient: str, images: Sequence[MeasuredImage]) -> dict[str, object]:
    frames = [frame for image in images for frame in image.frames]
    row: dict[str, object] = {"patient": patient, "images": len(images), "frames": len(frames)}
    for unit in _UNITS:
        per_image = [_means(image, unit) for image in images]
        measured = [means for means in per_image if means]
        if measured:
            row[f"frames_measured_{unit}"] = sum(len(means) for means in measured)
            row[f"imt_mean_{unit}"] = float(np.mean([np.mean(means) for means in measured]))
            row[f"imt_max_{unit}"] = max(
                frame.imt.max for frame in frames if frame.imt.unit == unit and frame.imt.max is not None
            )
    row["flags"] = " ".join(sorted({flag for frame in frames for flag in frame.imt.flags}))
    return row


def _means(image: MeasuredImage, unit: str) -> list[float]:
    """Mean thickness of those frames that show the layer and are measured in `unit`."""
    return [frame.imt.mean for frame in image.frames if frame.imt.mean is not None and frame.imt.unit == unit]


def _frame_row(image: MeasuredImage, frame: MeasuredFrame) -> dict[str, object]:
    imt = frame.imt
    lengths = (imt.mean, imt.max, imt.sd, imt.polyline_mean, imt.length)
    row: dict[str, object] = {f"{name}_{imt.unit}": value for name, value in zip(_LENGTHS, lengths, strict=True)}
    if imt.calibration.spacing_mm is not None:
        row["spacing_x_mm"], row["spacing_y_mm"] = imt.calibration.spacing_mm
    return row | {
        "image": image.title,
        "image_id": image.id,
        "frame": frame.index,
        "patient": image.patient,
        "columns": imt.columns,
        "calibration_source": imt.calibration.source,
        "flags": " ".join(imt.flags),
        "image_confidence": frame.confidence,
        "image_pld": frame.pld,
    }


def _write(path: Path, columns: Sequence[str], rows: Iterable[Mapping[str, object]]) -> None:
    try:
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, columns)
            writer.writeheader()
            writer.writerows({key: _cell(value) for key, value in row.items()} for row in rows)
    except OSError as error:
        raise StudyError(f"Expected `{path}` to be writable, got: {error}. Close it, or name another --out.") from error


def _cell(value: object) -> object:
    return f"{value:.6g}" if isinstance(value, float) else value
