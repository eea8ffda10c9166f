"""The thickness in every frame of a folder, by the model or from labels, as tables and pictures."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from lib.commands.measure_tables import MeasuredFrame, MeasuredImage, write_frames, write_patients
from lib.errors import ImageError, LabelError, MeasurementError, StudyError
from lib.imaging import Frame, clean_label, given_calibration, read_frame, read_label
from lib.inference import choose_device, load_pair, predict_frame
from lib.measurement import boundaries_from_mask, boundaries_from_probability, measure_imt
from lib.settings import Settings
from lib.state import MANIFEST_NAME, patient_of
from lib.study_folder import images_by_id

__all__ = ["MeasureResult", "Measurer", "from_labels", "from_model", "images_to_measure", "measure_folder"]

#: Measures every frame of one image: (image id, its frames) to the measurement.
Measurer = Callable[[str, Frame], list[MeasuredFrame]]


@dataclass(frozen=True)
class MeasureResult:
    """What was measured.

    Attributes:
        images: one entry an image that could be read.
        left_out: reason by image id of the others.
    """

    images: list[MeasuredImage]
    left_out: dict[str, str]

    @property
    def measured_frames(self) -> int:
        """Frames in which the layer was found."""
        return sum(frame.imt.columns > 0 for image in self.images for frame in image.frames)


def images_to_measure(folder: Path) -> dict[str, Path]:
    """The images of a folder by id, DICOM files without a suffix included.

    Raises:
        StudyError: it is not a folder, or holds no image.
    """
    if not folder.is_dir():
        raise StudyError(f"Expected `{folder}` to be a folder of images, got no such folder. Check the path.")
    images = images_by_id(folder, dicom_without_suffix=True)
    if not images:
        raise StudyError(
            f"Expected `{folder}` to hold images, got none. Copy NIfTI, DICOM, PNG, JPEG or TIFF files into it."
        )
    return images


def from_model(checkpoint: Path, settings: Settings) -> Measurer:
    """Measure what a checkpoint's teacher segments, with its sub-pixel boundaries.

    Raises:
        CheckpointError: it cannot be used.
        SettingsError: CUDA is asked for and there is none.
    """
    device = choose_device(settings.device)
    loaded = load_pair(checkpoint, device)

    def measure(_: str, frame: Frame) -> list[MeasuredFrame]:
        prediction = predict_frame(frame, loaded, settings, device)
        found = []
        for index, imt in enumerate(prediction.imt):
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


def measure_folder(
    folder: Path,
    out: Path,
    measurer: Measurer,
    *,
    spacing_mm: tuple[float, float] | None = None,
    patient_pattern: str = "",
    draw: Callable[[Path, str, Frame, MeasuredFrame], None] | None = None,
    progress: Callable[[str], None] = lambda _: None,
) -> MeasureResult:
    """Measure every image of a folder and write `frames.csv`, `patients.csv` and one picture a frame.

    Args:
        folder: the images; its `patients.csv` names the patients.
        out: where to write; exists.
        measurer: `from_model` or `from_labels`.
        spacing_mm: (dx, dy), overrides what the files say.
        patient_pattern: finds the patient in an id that `patients.csv` does not name.
        draw: makes the picture of one frame at a path; None: no pictures.
        progress: called after each image with its id.

    Raises:
        ImageError: `spacing_mm` is not credible.
        StudyError: the folder or its `patients.csv` cannot be used.
        MeasurementError: the layer was found in no frame; the tables are written all the same.
    """
    if spacing_mm is not None:
        given_calibration(spacing_mm)
    files = images_to_measure(folder)
    patients = patient_of(files, folder / MANIFEST_NAME, patient_pattern)
    images: list[MeasuredImage] = []
    left_out: dict[str, str] = {}
    for image, path in files.items():
        try:
            frame = read_frame(path, spacing_mm=spacing_mm)
            measured = MeasuredImage(image, patients[image], measurer(image, frame))
        except (ImageError, LabelError) as error:
            left_out[image] = str(error)
        else:
            images.append(measured)
            if draw is not None:
                for name, one in _pictures(measured):
                    draw(out / name, image, frame, one)
        progress(image)
    result = MeasureResult(images, left_out)
    write_frames(out / "frames.csv", images)
    write_patients(out / "patients.csv", images)
    if not result.measured_frames:
        first = next(iter(left_out.values()), "The layer was found in no frame.")
        raise MeasurementError(
            f"Expected the layer in at least one frame of `{folder}`, got {len(images)} readable images without it "
            f"and {len(left_out)} left out. {first}"
        )
    return result


def _pictures(image: MeasuredImage) -> Iterator[tuple[str, MeasuredFrame]]:
    """File name of each frame's picture."""
    for frame in image.frames:
        yield (f"{image.id}.png" if len(image.frames) == 1 else f"{image.id}_{frame.index:03d}.png"), frame
