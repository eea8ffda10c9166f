"""The study of the demo: frames of a machine that the starting weights do badly at, simulated on the spot."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Final

from sequal.anatomy.phantom import HOSPITAL
from sequal.experiments.hospital_folder import make_hospital
from sequal.study.state import MANIFEST_NAME

__all__ = ["simulate_demo_study"]

_SEED: Final = 2
_FRAMES: Final = (36, 16)


def simulate_demo_study(folder: Path, progress: Callable[[int, int], None] = lambda *_: None) -> Path:
    """Simulate the frames of a hospital with one old portable machine as a studies folder.

    Its pulses are long and its beam is wide, veins lie along the arteries, and its reader draws both boundaries by a
    convention of his own (`sequal.anatomy.phantom.HOSPITAL`).

    Args:
        folder: gets `frames/` with the images, `patients.csv` and `truth/`.
        progress: called with the number of frames that are done, and of all.

    Returns:
        `frames`.

    Raises:
        StudyError: the folder cannot be written.
    """
    machine = replace(HOSPITAL.machines["portable"], share=1.0)
    hospital = replace(HOSPITAL, machines={"portable": machine}, plaque=0.1, no_wall=0.06)
    made, study = folder / "simulated", folder / "frames"
    pool, test = _FRAMES
    make_hospital(made, seed=_SEED, pool=pool, test=test, hospital=hospital, workers=2, progress=progress)
    (study / "truth").mkdir(parents=True)
    patients = ["image,patient\n"]
    for part in (made / "pool", made / "test"):
        for image in sorted((part / "images").glob("*.nii.gz")):
            shutil.move(image, study)
            shutil.move(part / "truth" / image.name, study / "truth")
        patients += (part / "images" / MANIFEST_NAME).read_text().splitlines(keepends=True)[1:]
    (study / MANIFEST_NAME).write_text("".join(patients))
    shutil.rmtree(made)
    return study
