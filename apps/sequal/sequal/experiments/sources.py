"""What an experiment is made of: images with their truth, and which of them judge."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sequal.errors import StudyError
from sequal.experiments.plan import Plan
from sequal.study.folder import images_by_id
from sequal.study.state import MANIFEST_NAME, patient_of

__all__ = ["SourceFrame", "Sources", "choose_test_patients", "divided", "files_with_masks", "patients_of"]

_SPLIT_SEED: Final = 0
Reads = Mapping[str, Callable[[], "SourceFrame"]]


@dataclass(frozen=True)
class SourceFrame:
    """One frame or volume and its truth.

    Attributes:
        pixels: float32 (W, H) or (X, Y, Z).
        mask: uint8 of that shape, classes and 255 where nobody traced.
        spacing_mm: size of a pixel or voxel along each axis; None: nobody knows.
        kind: what is special about it, with commas between, empty where nobody knows.
        affine: float64 (4, 4), voxel to RAS millimetres, of a volume; None: a frame.
    """

    pixels: NDArray[np.float32]
    mask: NDArray[np.uint8]
    spacing_mm: tuple[float, ...] | None
    kind: str = ""
    affine: NDArray[np.float64] | None = None


@dataclass(frozen=True)
class Sources:
    """How to get each image, by id, of the pool and of the test set; and the patient of each.

    Where each seed divides the patients anew (`splits`), all images are in `pool`.
    """

    pool: Reads
    test: Reads
    patients: Mapping[str, str]


def choose_test_patients(patients: Iterable[str], fraction: float, seed: Sequence[int]) -> set[str]:
    """Patients whose images judge; at least one.

    Args:
        patients: all of them, in any order.
        fraction: part of the patients that is chosen.
        seed: of the choice.
    """
    names = sorted(set(patients))
    count = max(1, round(fraction * len(names)))
    return set(np.random.default_rng(seed).permutation(names)[:count].tolist())


def divided(plan: Plan, pairs: Callable[[str, str], tuple[Reads, Mapping[str, str]]]) -> Sources:
    """Pool and test set of an experiment on folders.

    Args:
        plan: names the folders, and says which images judge.
        pairs: from a folder of images and one of masks to the reader and the patient of each image.

    Raises:
        StudyError: as `pairs`; a patient would be in both, or the list of those that judge names none.
        SettingsError: the pool is too small for the rounds.
    """
    images, patients = pairs(plan.images, plan.masks)
    if plan.splits == "seed":
        return Sources(images, {}, patients)
    if plan.test_images:
        test, test_patients = pairs(plan.test_images, plan.test_masks)
        _check_apart(set(patients.values()) & set(test_patients.values()))
        plan.check_pool(len(images))
        return Sources(images, test, {**patients, **test_patients})
    if plan.test_list:
        judging = _listed(Path(plan.test_list), images)
        pool_patients = {patients[image] for image in images if image not in judging}
        _check_apart(pool_patients & {patients[image] for image in judging})
    else:
        chosen = choose_test_patients(patients.values(), plan.test_fraction, [_SPLIT_SEED])
        judging = {image for image in images if patients[image] in chosen}
    pool = {image: read for image, read in images.items() if image not in judging}
    plan.check_pool(len(pool))
    return Sources(pool, {image: images[image] for image in images if image in judging}, patients)


def patients_of(images: Iterable[str], folder: Path, plan: Plan) -> dict[str, str]:
    """Patient by image id, by the folder's table, else by `patient_pattern`, else each image is its own."""
    return patient_of(list(images), folder / MANIFEST_NAME, plan.settings.get("patient_pattern", ""))


def files_with_masks(image_folder: str, mask_folder: str) -> tuple[dict[str, Path], dict[str, Path]]:
    """File by image id, of the images and of their masks.

    Raises:
        StudyError: there are no images, or one has no mask.
    """
    images, masks = images_by_id(Path(image_folder)), images_by_id(Path(mask_folder))
    if not images:
        raise StudyError(f"Expected `{image_folder}` to hold images, got none. Check the path.")
    missing = sorted(images.keys() - masks.keys())
    if missing:
        raise StudyError(
            f"Expected `{mask_folder}` to hold a mask of every image, got none of {missing[0]} "
            f"({len(missing)} without). Give masks the names of their images."
        )
    return images, masks


def _listed(path: Path, images: Iterable[str]) -> set[str]:
    """Images of a list of names, a line each; the files of a folder have its name before theirs."""
    try:
        names = [line.strip() for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    except (OSError, ValueError) as error:
        raise StudyError(f"Expected `{path}` to be a list of names, got: {error}. Check the path.") from error
    found = {name: {image for image in images if image == name or image.startswith(f"{name}_")} for name in names}
    missing = [name for name in names if not found[name]]
    if missing or not names:
        raise StudyError(
            f"Expected `{path}` to name images that judge, a name a line, got "
            f"{f'{missing[0]!r}, of which there is none' if missing else 'an empty list'}. Correct the list."
        )
    return set().union(*found.values())


def _check_apart(shared: set[str]) -> None:
    if shared:
        raise StudyError(
            f"Expected no patient in both pool and test set, got {min(shared)!r} in both "
            f"({len(shared)} such patients). Take them out of one."
        )
