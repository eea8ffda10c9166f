"""What the simulated annotator knows: true masks, which frames are kept for judging, and how an expert draws."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from sequal.anatomy.model import Model
from sequal.anatomy.phantom import draw_reader
from sequal.errors import StudyError
from sequal.files.imaging import Frame
from sequal.study.folder import images_by_id

__all__ = ["Expert", "Truth", "choose_test_images", "exact_expert", "noisy_expert"]

#: Turns a true mask, uint8 (W, H, F) in {0, 1, 255}, into the label that an expert submits, in {0, 1, 255}.
Expert = Callable[[NDArray[np.uint8], Frame], NDArray[np.uint8]]


@dataclass(frozen=True)
class Truth:
    """True masks by image id.

    Attributes:
        folder: where they are.
        files: mask file by image id.
    """

    folder: Path
    files: Mapping[str, Path]

    @classmethod
    def open(cls, folder: Path) -> Self:
        """List a folder of masks.

        Raises:
            StudyError: it is missing or holds no mask.
        """
        files = images_by_id(folder)
        if not files:
            raise StudyError(
                f"Expected `{folder}` to hold true masks (<image id>.nii.gz), got none. Name their folder with --truth."
            )
        return cls(folder, files)

    def check_covers(self, images: Sequence[str]) -> None:
        """See that every image that may be asked for has a mask.

        Raises:
            StudyError: some have none; the message names the first.
        """
        missing = [image for image in images if image not in self.files]
        if missing:
            raise StudyError(
                f"Expected `{self.folder}` to hold a mask of every unlabelled image, got none of {missing[0]}"
                f"{f' and {len(missing) - 1} more' if len(missing) > 1 else ''}. Add them, or name another --truth."
            )

    def mask(self, image: str, frame: Frame, model: Model) -> NDArray[np.uint8]:
        """The true mask of an image, uint8 in its array, classes of the model and 255 where nobody traced.

        Raises:
            LabelError: unreadable, or on another grid.
        """
        return model.drawn_on(self.files[image], frame)


def exact_expert(mask: NDArray[np.uint8], _: Frame) -> NDArray[np.uint8]:
    """An expert without error: submits the true mask."""
    return mask


def noisy_expert(seed: int, uncalibrated_mm: float = 0.06) -> Expert:
    """An expert as `sequal.anatomy.phantom.SimulatedExpert`: biased, at times too thick or thin, part of a wall.

    Args:
        seed: of the reader and of the errors.
        uncalibrated_mm: pixel size that errors are scaled to in an image without calibration.
    """
    rng = np.random.default_rng(seed)
    reader = draw_reader(rng)

    def annotate(mask: NDArray[np.uint8], frame: Frame) -> NDArray[np.uint8]:
        spacing_mm = frame.calibration.spacing_mm or (uncalibrated_mm, uncalibrated_mm)
        frames = [reader.annotate_mask(mask[:, :, index], spacing_mm, rng) for index in range(mask.shape[2])]
        return np.stack(frames, axis=2)

    return annotate


def choose_test_images(
    unlabelled: Sequence[str],
    labelled: Sequence[str],
    patients: Mapping[str, str],
    count: int,
    to_label: int,
    rng: np.random.Generator,
) -> list[str]:
    """Images that are kept for judging the model and never labelled, whole patients where that is possible.

    Args:
        unlabelled: the pool.
        labelled: images with a label; their patients come last, because the model sees those arteries.
        patients: patient by image id.
        count: at least so many, where the pool is large enough.
        to_label: so many are left for the annotator.
        rng: chooses the patients.

    Returns:
        Image ids, sorted; fewer than `count`, perhaps none, in a small pool.
    """
    seen = {patients[image] for image in labelled}
    by_patient: dict[str, list[str]] = {}
    for image in sorted(unlabelled):
        by_patient.setdefault(patients[image], []).append(image)
    names = sorted(by_patient)
    order = sorted((names[i] for i in rng.permutation(len(names))), key=lambda name: name in seen)
    chosen: list[str] = []
    for patient in order:
        if len(chosen) >= count:
            break
        if len(chosen) + len(by_patient[patient]) <= len(unlabelled) - to_label:
            chosen += by_patient[patient]
    return sorted(chosen)
