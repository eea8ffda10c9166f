"""A studies folder as it comes from a hospital's disk: damaged, empty, odd and huge files among the good ones."""

import math
import shutil
from collections.abc import Iterator
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from monailabel.client.client import MONAILabelClientException
from PIL import Image

from integration.data import LABELLED, frame, make_study, save_nifti
from integration.server import Server, running, task_result
from sequal.settings import Settings
from sequal.study.state import StudyState, file_digest

pytestmark = [pytest.mark.server, pytest.mark.timeout(400)]

#: What cannot be read, and the words that say so.
UNREADABLE = {"broken": "readable nifti file", "empty": "an empty file", "all_nan": "finite pixels"}
ODD = {
    "constant": (160, 128, 1),
    "tiny": (8, 8, 1),
    "nan": (160, 128, 1),
    "colour": (90, 70),
    "deep": (90, 70),
    "huge": (4000, 3000),
}


def _add_odd_files(studies: Path) -> None:
    pixels = frame(50)[0]
    (studies / "broken.nii.gz").write_bytes(b"this is no image")
    (studies / "empty.nii.gz").write_bytes(b"")
    save_nifti(studies / "all_nan.nii.gz", np.full((160, 128, 1), np.nan, np.float32))
    save_nifti(studies / "constant.nii.gz", np.full((160, 128, 1), 7, np.uint8))
    save_nifti(studies / "tiny.nii.gz", pixels[:8, :8, None])
    holes = pixels[:, :, None].astype(np.float32)
    holes[::3, ::3] = np.nan
    save_nifti(studies / "nan.nii.gz", holes)
    rng = np.random.default_rng(0)
    Image.fromarray(rng.integers(0, 256, (70, 90, 3), dtype=np.uint8)).save(studies / "colour.png")
    Image.fromarray(rng.integers(0, 65536, (70, 90), dtype=np.uint16)).save(studies / "deep.png")
    Image.fromarray(np.kron(frame(51)[0].T[:120, :], np.ones((25, 25), np.uint8))).save(studies / "huge.png")


@pytest.fixture(scope="module")
def bad(tmp_path_factory: pytest.TempPathFactory, checkpoint: Path) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("bad")
    studies, state = make_study(folder / "study"), folder / "state"
    _add_odd_files(studies)
    final = studies / "labels" / "final"
    save_nifti(final / "p04_left.nii.gz", np.ones((20, 20, 1), np.uint8))
    save_nifti(final / "tiny.nii.gz", np.ones((8, 8, 1), np.uint8))
    (final / "broken.nii.gz").write_bytes(b"nor is this a label")
    (studies / "datastore_v2.json").write_text('{"name": "study", "objects": {"p01_left": ')
    state.mkdir()
    shutil.copy(checkpoint, state / "published.pt")
    with running(studies, state) as started:
        yield started


def test_a_damaged_list_of_images_is_made_again_from_the_files(bad: Server) -> None:
    objects = bad.client().datastore()["objects"]
    labelled = {image for image, entry in objects.items() if "final" in entry["labels"]}
    assert labelled == {*LABELLED, "p04_left", "tiny", "broken"}
    assert set(objects) >= {*UNREADABLE, *ODD}
    assert len(list(bad.studies.glob("datastore_v2.json.corrupt-*"))) == 1


def test_scoring_names_what_it_leaves_out_and_does_not_try_it_again(bad: Server) -> None:
    task = bad.finished("scoring")
    assert task["status"] == "DONE", task
    left_out = task_result(task)["left_out"]
    assert set(left_out) == {"empty", "all_nan"}
    for image, reason in left_out.items():
        assert UNREADABLE[image] in reason
        assert f"Leaving out image {image}" in bad.log
    scores = StudyState.open(bad.state, Settings()).ledger.scores(file_digest(bad.published), "pld")
    scored = {image for image, score in scores.items() if math.isfinite(score)}
    assert scored >= ODD.keys() - {"tiny"}
    assert bad.client().next_sample("pld", {})["id"]
    assert len(bad.tasks("scoring")) == 1


@pytest.mark.parametrize("image", ODD)
def test_an_odd_image_is_answered_on_its_own_grid(bad: Server, image: str) -> None:
    file, params = bad.client().infer("carotid", image, {})
    assert nib.load(file).shape == ODD[image]
    assert math.isfinite(params["pld"])


@pytest.mark.parametrize("image", UNREADABLE)
def test_an_unreadable_image_is_refused_with_its_reason(bad: Server, image: str) -> None:
    with pytest.raises(MONAILabelClientException) as caught:
        bad.client().infer("carotid", image, {})
    assert "Status: 400" in caught.value.msg
    assert UNREADABLE[image] in caught.value.msg


def test_training_goes_on_and_names_what_it_leaves_out(bad: Server) -> None:
    labels = bad.labels()
    task = bad.train()
    assert task["status"] == "DONE", task
    stats = bad.stats()
    assert set(stats["left_out"]) == {"empty", "all_nan", "broken", "p04_left"}
    assert "the size of its frame" in stats["left_out"]["p04_left"]
    for image in stats["left_out"]:
        assert image in bad.log
    assert stats["epoch"] == 1
    assert bad.labels() == labels
    # The round has scored the pool, what it could not read included: nothing is left for a scoring process.
    assert bad.client("ben").next_sample("pld", {})["id"]
    assert len(bad.tasks("scoring")) == 1
