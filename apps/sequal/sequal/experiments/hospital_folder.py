"""The frames of the simulated hospital as folders of images and truth, made once."""

import csv
import io
import json
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Final

import nibabel as nib
import numpy as np
from filelock import FileLock

from sequal.anatomy.phantom import HOSPITAL, Hospital, HospitalFrame, draw_hospital_frames, simulate_hospital_frame
from sequal.errors import StudyError
from sequal.experiments.frames import KINDS_NAME
from sequal.study.state import MANIFEST_NAME, atomic_write

__all__ = ["make_hospital"]

_RECORD: Final = "hospital.json"


def make_hospital(
    folder: Path,
    *,
    seed: int = 0,
    pool: int = 300,
    test: int = 100,
    hospital: Hospital = HOSPITAL,
    workers: int = 1,
    progress: Callable[[int, int], None] = lambda *_: None,
) -> None:
    """Simulate the frames of a hospital, unless the folder holds them; a stopped call is gone on with.

    Args:
        folder: gets `pool/` and `test/` with `images/` (and in it `patients.csv`, `kinds.csv`) and `truth/` each, and
            `hospital.json` with what they were made from. A second process waits for the first.
        seed: of the patients.
        pool: frames to label; no patient has frames in both.
        test: frames to judge by.
        hospital: whose.
        workers: processes that simulate.
        progress: called with the number of frames that are done, and of all.

    Raises:
        StudyError: the folder holds frames of another hospital or seed, or cannot be written.
    """
    made_from = {"seed": seed, "pool": pool, "test": test, "hospital": json.loads(json.dumps(asdict(hospital)))}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / "hospital.lock"):
            if (folder / _RECORD).exists():
                _check(folder, made_from)
            else:
                _make(folder, seed, hospital, {"pool": pool, "test": test}, workers, progress)
                with atomic_write(folder / _RECORD) as file:
                    file.write(json.dumps(made_from, indent=1).encode())
    except OSError as error:
        raise StudyError(f"Expected `{folder}` to be writable, got: {error}. Name another folder.") from error


def _check(folder: Path, made_from: dict[str, object]) -> None:
    recorded = json.loads((folder / _RECORD).read_bytes())
    different = sorted(name for name, value in made_from.items() if recorded.get(name) != value)
    if different:
        raise StudyError(
            f"Expected `{folder}` to hold frames of this hospital, got others ({', '.join(different)} differ). "
            "Name another folder, or delete this one to make it anew."
        )


def _make(
    folder: Path,
    seed: int,
    hospital: Hospital,
    counts: dict[str, int],
    workers: int,
    progress: Callable[[int, int], None],
) -> None:
    patient, jobs = 0, []
    for split, count in counts.items():
        frames = draw_hospital_frames(hospital, seed, patient, count)
        patient = frames[-1].patient + 1
        jobs += [(split, frame) for frame in frames]
        for part in ("images", "truth", "made"):
            (folder / split / part).mkdir(parents=True, exist_ok=True)
        _write_table(folder / split / "images" / MANIFEST_NAME, "patient", {_id(f): _patient(f) for f in frames})
    simulate = partial(_simulate, folder, seed, hospital)
    with ProcessPoolExecutor(workers, get_context("spawn")) as processes:
        kinds: dict[str, dict[str, str]] = {split: {} for split in counts}
        for number, (job, kind) in enumerate(zip(jobs, processes.map(simulate, jobs), strict=True), 1):
            kinds[job[0]][_id(job[1])] = kind
            progress(number, len(jobs))
    for split, by_image in kinds.items():
        _write_table(folder / split / "images" / KINDS_NAME, "kind", by_image)


def _simulate(folder: Path, seed: int, hospital: Hospital, job: tuple[str, HospitalFrame]) -> str:
    """Write one frame; returns what is special about it."""
    split, which = job
    done = folder / split / "made" / f"{_id(which)}.txt"
    if done.exists():
        return done.read_text()
    frame = simulate_hospital_frame(hospital, seed, which)
    for part, array in (("truth", frame.mask), ("images", frame.pixels)):
        stored = nib.Nifti1Image(array[:, :, None], np.diag([*frame.spacing_mm, 1.0, 1.0]), dtype=np.uint8)
        stored.header.set_xyzt_units("mm")
        nib.save(stored, folder / split / part / f"{_id(which)}.nii.gz")
    kind = f"{frame.kind}, {which.machine}"
    with atomic_write(done) as file:
        file.write(kind.encode())
    return kind


def _write_table(path: Path, column: str, values: dict[str, str]) -> None:
    text = io.StringIO()
    csv.writer(text).writerows([("image", column), *sorted(values.items())])
    with atomic_write(path) as file:
        file.write(text.getvalue().encode())


def _id(frame: HospitalFrame) -> str:
    return f"{_patient(frame)}-{frame.index}"


def _patient(frame: HospitalFrame) -> str:
    return f"p{frame.patient:03d}"
