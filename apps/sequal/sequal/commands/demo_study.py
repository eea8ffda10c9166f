"""The studies of the demos, simulated on the spot: frames that the starting weights do badly at, and volumes."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Final

from sequal.anatomy.phantom import HOSPITAL
from sequal.anatomy.phantom.volumes import BODY_LABELS, BodyPart
from sequal.experiments.hospital_folder import make_hospital
from sequal.experiments.volume_folder import make_volumes
from sequal.study.state import MANIFEST_NAME

__all__ = ["VOLUME_DEMO", "simulate_demo_study", "simulate_demo_volumes"]

_SEED: Final = 2
_FRAMES: Final = (36, 16)
_PART: Final[BodyPart] = "heart"
_VOLUMES: Final = 48
#: Settings of a server for which two cores need a minute a round: coarse voxels, and random weights that learn quickly.
VOLUME_DEMO: Final = (
    f"labels={','.join(BODY_LABELS[_PART])}",
    "volume_spacing=5,5,5",
    "volume_patch=32,32,32",
    "learning_rate=0.003",
    "epochs=4",
    "iterations_per_epoch=40",
)


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


def simulate_demo_volumes(folder: Path, progress: Callable[[int, int], None] = lambda *_: None) -> Path:
    """Simulate hearts in CT and MR as a studies folder without a label.

    Args:
        folder: gets `volumes/` with the images, `patients.csv` and `truth/`.
        progress: called with the number of volumes that are done, and of all.

    Returns:
        `volumes`.

    Raises:
        StudyError: the folder cannot be written.
    """
    study = folder / "volumes"
    make_volumes(study, seed=_SEED, count=_VOLUMES, part=_PART, progress=progress)
    return study
