"""Simulated volumes as a studies folder: images, a few labels, all truth."""

import csv
import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from numpy.typing import NDArray

from sequal.anatomy.phantom.volumes import VOLUME_SCANNERS, BodyPart, VolumeScannerName, draw_body, simulate_volume
from sequal.errors import StudyError
from sequal.study.folder import FINAL_LABELS
from sequal.study.state import MANIFEST_NAME, atomic_write

__all__ = ["make_volumes"]

#: Apart from every other use of a seed.
_SEED = 310_877


def make_volumes(
    folder: Path,
    *,
    seed: int = 0,
    count: int = 48,
    part: BodyPart = "heart",
    labelled: int = 0,
    shape: tuple[int, int, int] = (64, 64, 48),
    progress: Callable[[int, int], None] = lambda *_: None,
) -> None:
    """Simulate volumes of patients, two of each: one by a CT, one by an MR scanner.

    The scanners differ in brightness, spacing, orientation and noise. The labels are those of
    `BODY_LABELS[part]` and equal the truth.

    Args:
        folder: gets `p01_v1.nii.gz` and so on, `labels/final/`, `truth/` and `patients.csv`.
        seed: of the patients.
        count: volumes.
        part: `heart` or `abdomen`.
        labelled: how many have a label; the patients are drawn, and of each the first volume is labelled.
        shape: of each array.
        progress: called with the number of volumes that are done, and of all.

    Raises:
        StudyError: the folder holds a study, there are fewer patients than labels, or the folder cannot be written.
    """
    volumes = _plan(seed, count)
    firsts = [volume.name for volume in volumes if volume.number == 1]
    if labelled > len(firsts):
        raise StudyError(
            f"Expected at most {len(firsts)} labels, one a patient, got {labelled}. Ask for fewer, or for more volumes."
        )
    if (folder / MANIFEST_NAME).exists():
        raise StudyError(f"Expected `{folder}` to hold no study, got one with `{MANIFEST_NAME}`. Name another folder.")
    with_label = set(np.random.default_rng([_SEED, seed]).permutation(firsts)[:labelled])

    def make(volume: _Volume) -> None:
        body = draw_body(np.random.default_rng([_SEED, seed, volume.patient]), part)
        rng = np.random.default_rng([_SEED, seed, volume.patient, volume.number])
        made = simulate_volume(rng, body, volume.scanner, shape)
        _write(folder / "truth" / volume.file, made.truth, made.affine)
        if volume.name in with_label:
            _write(folder / FINAL_LABELS / volume.file, made.truth, made.affine)
        _write(folder / volume.file, made.voxels, made.affine)

    try:
        for place in (folder / "truth", folder / FINAL_LABELS):
            place.mkdir(parents=True, exist_ok=True)
        for done, volume in enumerate(volumes, 1):
            make(volume)
            progress(done, count)
        with atomic_write(folder / MANIFEST_NAME) as file:
            file.write(_manifest(volumes).encode())
    except OSError as error:
        raise StudyError(f"Expected `{folder}` to be writable, got: {error}. Name another folder.") from error


@dataclass(frozen=True)
class _Volume:
    patient: int
    number: int
    scanner: VolumeScannerName

    @property
    def name(self) -> str:
        return f"p{self.patient:02d}_v{self.number}"

    @property
    def file(self) -> str:
        return f"{self.name}.nii.gz"


def _plan(seed: int, count: int) -> list[_Volume]:
    """Each patient is seen by both scanners, in an order of his own."""
    return list(_volumes(seed, count))[:count]


def _volumes(seed: int, count: int) -> Iterator[_Volume]:
    for patient in range(1, count // 2 + 2):
        order = np.random.default_rng([_SEED, seed, patient, 0]).permutation(len(VOLUME_SCANNERS))
        yield from (_Volume(patient, number, list(VOLUME_SCANNERS)[index]) for number, index in enumerate(order, 1))


def _manifest(volumes: list[_Volume]) -> str:
    text = io.StringIO()
    rows = [(volume.name, f"p{volume.patient:02d}") for volume in volumes]
    csv.writer(text, lineterminator="\n").writerows([("image", "patient"), *rows])
    return text.getvalue()


def _write(path: Path, array: NDArray[Any], affine: NDArray[np.float64]) -> None:
    image = nib.Nifti1Image(array, affine)
    image.header.set_xyzt_units("mm")
    nib.save(image, path)
