import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from integration.data import FRAMES, LABELLED, LYING, frame, make_study, save_nifti
from integration.server import Server, running
from sequal.learning.training import run_round
from sequal.settings import Settings
from sequal.study.items import Item
from sequal.study.state import StudyState

CLIP_FRAMES = 3


def items(studies: Path, names: tuple[str, ...]) -> list[Item]:
    """Items of a study for a caller that has no datastore."""
    found = []
    for name in names:
        label = studies / "labels" / "final" / f"{name}.nii.gz"
        found.append(Item(name, studies / f"{name}.nii.gz", label if label.exists() else None, name[:3]))
    return found


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint that has seen the band: the model in service where a test does not train one itself."""
    folder = tmp_path_factory.mktemp("checkpoint")
    studies = make_study(folder / "study", FRAMES)
    training = {"epochs": 1, "iterations_per_epoch": 90, "patch": 128, "learning_rate": 0.005, "ema_alpha": 0.9}
    settings = Settings.from_conf(training)
    state = StudyState.open(folder / "state", settings)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # several threads wait for each other where other processes keep the cores busy
    try:
        run_round(items(studies, LABELLED), [], state, settings)
    finally:
        torch.set_num_threads(threads)
    return state.published


def add_other_forms(studies: Path) -> None:
    """A clip, two NIfTI files of two dimensions and a picture, all without a label."""
    clip = np.stack([frame(200 + index)[0] for index in range(CLIP_FRAMES)], axis=2)
    save_nifti(studies / "clip.nii.gz", clip)
    save_nifti(studies / "flat.nii.gz", frame(210)[0], LYING)
    save_nifti(studies / "standing.nii.gz", frame(211)[0])
    Image.fromarray(frame(220)[0].T).save(studies / "picture.png")


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory, checkpoint: Path) -> Iterator[Server]:
    """One server on the small study for all tests that leave each other's images alone; scores nothing by itself."""
    folder = tmp_path_factory.mktemp("shared")
    studies, state = make_study(folder / "study"), folder / "state"
    add_other_forms(studies)
    state.mkdir()
    shutil.copy(checkpoint, state / "published.pt")
    with running(studies, state, auto_scoring="false") as started:
        yield started
