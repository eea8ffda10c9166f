"""A study of any size: links to a few frames, scores of all images, labels of a tenth, patients of 20 images."""

import csv
import json
import os
import sqlite3
import time
from pathlib import Path

import nibabel as nib
import numpy as np

from sequal.acquisition import ACQUISITION_FUNCTIONS
from sequal.study.state import StudyState, file_digest

#: File systems allow about 65,000 links to one file.
LINKS = 30_000
LABELLED = 10
IMAGES_OF_A_PATIENT = 20
SHAPE = (256, 200, 1)


def image_ids(size: int) -> list[str]:
    """Ids of a study, patient by patient."""
    return [f"p{n // IMAGES_OF_A_PATIENT:06d}_f{n % IMAGES_OF_A_PATIENT:02d}" for n in range(size)]


def frame(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """A noisy frame with a band in it, and its mask."""
    rng = np.random.default_rng(seed)
    mask = np.zeros(SHAPE, np.uint8)
    mask[20:-20, 90:104] = 1
    return (rng.integers(0, 90, SHAPE) + 120 * mask).astype(np.uint8), mask


def save(path: Path, pixels: np.ndarray) -> Path:
    """Write a NIfTI file of 0.06 mm pixels."""
    nib.save(nib.Nifti1Image(pixels, np.diag([0.06, 0.06, 1, 1])), path)
    return path


def make_study(folder: Path, size: int, files: int) -> list[str]:
    """Make the studies folder.

    Args:
        folder: it does not exist yet.
        size: number of images.
        files: images that have a file; the others are ids alone.

    Returns:
        Ids of the labelled images.
    """
    ids = image_ids(size)
    labels = folder / "labels" / "final"
    labels.mkdir(parents=True)
    sources = folder.with_name("sources")
    sources.mkdir()
    pixels, mask = frame(0)
    labelled = ids[::LABELLED] if files == size else []
    for number, image in enumerate(ids[:files]):
        source = sources / f"{number // LINKS}.nii.gz"
        if not source.exists():
            save(source, pixels)
        os.link(source, folder / f"{image}.nii.gz")
    for number, image in enumerate(labelled):
        source = sources / f"label{number // LINKS}.nii.gz"
        if not source.exists():
            save(source, mask)
        os.link(source, labels / f"{image}.nii.gz")
    with (folder / "patients.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("image", "patient"), *((image, image[:7]) for image in ids)])
    return labelled


def fill_state(state: StudyState, ids: list[str], labelled: list[str], weights: Path) -> None:
    """Scores of every unlabelled image by the starting weights, and a frozen validation of a fifth of the patients."""
    digest = file_digest(weights)
    done, study, now = set(labelled), state.ledger._study, time.time()
    scores = np.random.default_rng(0).random((len(ids), len(ACQUISITION_FUNCTIONS)))
    connection = sqlite3.connect(state.root / "ledger.db")
    connection.execute("PRAGMA synchronous=OFF")
    connection.executemany(
        "INSERT INTO scores (study, image, digest, acquisition, score, scored_at) VALUES (?, ?, ?, ?, ?, ?)",
        (
            (study, image, digest, name, float(value), now)
            for image, row in zip(ids, scores, strict=True)
            if image not in done
            for name, value in zip(ACQUISITION_FUNCTIONS, row, strict=True)
        ),
    )
    connection.commit()
    connection.close()
    patients = sorted({image[:7] for image in labelled})[::5]
    if patients:
        held = [image for image in labelled if image[:7] in set(patients)]
        record = {"format": 1, "patients": patients, "images": held, "fraction": 0.2, "seed": 0, "created": now}
        state.split_file.write_text(json.dumps(record))
