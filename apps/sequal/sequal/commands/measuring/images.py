"""The thickness in every frame of a study, by a model, a server or from labels, as tables and pictures."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from sequal.anatomy.measurement import (
    ImtMeasurement,
    boundaries_from_mask,
    boundaries_from_probability,
    measure_imt,
    measure_probability,
)
from sequal.commands.annotating.client import AnnotationClient
from sequal.commands.measuring.source import MeasureSource
from sequal.commands.measuring.tables import MeasuredFrame, MeasuredImage, write_frames, write_patients
from sequal.errors import ImageError, LabelError, MeasurementError, StudyError
from sequal.files.imaging import Frame, clean_label, read_label
from sequal.prediction import choose_device, load_pair, predict_image
from sequal.settings import Settings
from sequal.study.folder import images_by_id

__all__ = ["MeasureResult", "Measurer", "from_labels", "from_model", "from_server", "measure_images"]

#: Measures every frame of one image: (image id, its frames) to the measurement.
Measurer = Callable[[str, Frame], list[MeasuredFrame]]


@dataclass(frozen=True)
class MeasureResult:
    """What was measured.

    Attributes:
        images: one entry an image that could be read.
        left_out: reason by name of the others.
    """

    images: list[MeasuredImage]
    left_out: dict[str, str]

    @property
    def measured_frames(self) -> int:
        """Frames in which the layer was found."""
        return sum(frame.imt.columns > 0 for image in self.images for frame in image.frames)


def from_model(checkpoint: Path, settings: Settings) -> Measurer:
    """Measure what a checkpoint segments, with its sub-pixel boundaries.

    Raises:
        CheckpointError: it cannot be used.
        SettingsError: CUDA is asked for and there is none.
    """
    device = choose_device(settings.device)
    loaded = load_pair(checkpoint, device)

    def measure(_: str, frame: Frame) -> list[MeasuredFrame]:
        prediction = predict_image(frame, loaded, settings, device, with_errors=False)
        found = []
        for index, imt in enumerate(measure_probability(prediction.probability, frame.calibration)):
            boundaries = boundaries_from_probability(prediction.probability[:, :, index])
            found.append(MeasuredFrame(index, imt, boundaries, prediction.confidence, prediction.pld))
        return found

    return measure


def from_labels(folder: Path) -> Measurer:
    """Measure labels instead of predictions.

    Args:
        folder: label files with the ids of the images.

    Raises:
        StudyError: the folder is missing or holds no label.
    """
    labels = images_by_id(folder)
    if not labels:
        raise StudyError(f"Expected `{folder}` to hold labels, got none. Name for example STUDIES/labels/final.")

    def measure(image: str, frame: Frame) -> list[MeasuredFrame]:
        if image not in labels:
            raise LabelError(f"Expected a label of {image} in `{folder}`, got none. Draw one, or leave out --labels.")
        label, _ = clean_label(read_label(labels[image], frame.grid, layout=frame.layout))
        found = []
        for index in range(frame.grid[2]):
            boundaries = boundaries_from_mask(label[:, :, index])
            found.append(MeasuredFrame(index, measure_imt(boundaries, frame.calibration), boundaries, None, None))
        return found

    return measure


def from_server(client: AnnotationClient) -> Measurer:
    """Measure what a running server segments; the thickness is the server's own.

    The boundaries, for the pictures, are those of its mask.

    Raises:
        ServerError: it does not answer, or refuses.
    """

    def measure(image: str, frame: Frame) -> list[MeasuredFrame]:
        answer = client.infer("carotid", image)
        mask = read_label(answer.file, frame.grid, layout=frame.layout)
        told = answer.params
        measured = [
            ImtMeasurement.from_params(params, frame.calibration)
            for params in told.get("imt_frames") or [told.get("imt") or {}]
        ]
        return [
            MeasuredFrame(index, imt, boundaries_from_mask(mask[:, :, index]), told.get("confidence"), told.get("pld"))
            for index, imt in enumerate(measured)
        ]

    return measure


def measure_images(
    source: MeasureSource,
    out: Path,
    measurer: Measurer,
    *,
    draw: Callable[[Path, str, Frame, MeasuredFrame], None] | None = None,
    progress: Callable[[str], None] = lambda _: None,
) -> MeasureResult:
    """Measure every image of a study and write `frames.csv`, `patients.csv` and one picture a frame.

    Args:
        source: the images.
        out: where to write; exists.
        measurer: `from_model`, `from_labels` or `from_server`.
        draw: makes the picture of one frame at a path; None: no pictures.
        progress: called after each image with its id.

    Raises:
        MeasurementError: the layer was found in no frame; the tables are written all the same.
        SequalError: the tables cannot be written; the PACS or the server no longer answers.
    """
    images: list[MeasuredImage] = []
    left_out: dict[str, str] = {}
    for image, name in source.names.items():
        try:
            frame = source.read(image)
            measured = MeasuredImage(image, source.patients[image], measurer(image, frame), name)
        except (ImageError, LabelError) as error:
            left_out[name] = str(error)
        else:
            images.append(measured)
            if draw is not None:
                for file, one in _pictures(measured):
                    draw(out / file, name, frame, one)
        progress(image)
    result = MeasureResult(images, left_out)
    write_frames(out / "frames.csv", images)
    write_patients(out / "patients.csv", images)
    if not result.measured_frames:
        first = next(iter(left_out.values()), "The layer was found in no frame.")
        raise MeasurementError(
            f"Expected the layer in at least one frame of {source.place}, got {len(images)} readable images without it "
            f"and {len(left_out)} left out. {first}"
        )
    return result


def _pictures(image: MeasuredImage) -> Iterator[tuple[str, MeasuredFrame]]:
    """File name of each frame's picture."""
    stem = re.sub(r"[^\w.-]+", "_", image.title) if image.title != image.id else image.id
    for frame in image.frames:
        yield (f"{stem}.png" if len(image.frames) == 1 else f"{stem}_{frame.index:03d}.png"), frame
