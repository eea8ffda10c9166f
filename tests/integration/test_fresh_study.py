"""A study that nobody has touched: no labels, no state, only the starting weights in the app's folder."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import nibabel as nib
import pytest

from integration.data import FRAMES, HEIGHT, WIDTH, label_of, make_study, save_nifti
from integration.server import APP, Server, running
from sequal.settings import Settings
from sequal.study.state import StudyState, study_state_folder

pytestmark = [pytest.mark.server, pytest.mark.timeout(400)]


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory, checkpoint: Path) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("fresh")
    app = folder / "app"
    shutil.copytree(APP, app, ignore=shutil.ignore_patterns("model", "logs", "bin", "__pycache__"))
    (app / "model").mkdir()
    shutil.copy(checkpoint, app / "model" / "pretrained_carotid.pt")
    studies = make_study(folder / "study", labelled=())
    state = study_state_folder(app, str(studies))
    with running(studies, state, app=app, state_in_conf=False, auto_scoring="false") as started:
        yield started


def test_without_a_setting_the_state_lies_in_the_apps_model_folder(fresh: Server) -> None:
    assert fresh.state.parent.name == "model"
    assert fresh.state.name.startswith("study-")
    assert (fresh.state / "ledger.db").is_file()
    assert not (APP / "model" / fresh.state.name).exists()


def test_the_starting_weights_answer_before_any_training(fresh: Server) -> None:
    assert not fresh.published.exists()
    file, params = fresh.client().infer("carotid", "p01_left", {})
    assert nib.load(file).shape == (WIDTH, HEIGHT, 1)
    assert params["imt"]["calibrated"] is True


def test_a_cold_start_is_explained(fresh: Server) -> None:
    reply = fresh.client().next_sample("pld", {})
    assert "cold start" in reply["reason"]
    assert reply["score"] is None


def test_training_from_no_labels_to_all(fresh: Server, tmp_path: Path) -> None:
    client = fresh.client()
    task = fresh.train()
    assert task["status"] == "ERROR"
    assert any("Expected at least one usable labelled image" in line for line in task["details"])
    stats = fresh.stats()
    assert "Label an image and submit it" in stats["error"]
    assert stats["published"] is False
    assert "total_time" in stats
    assert not fresh.published.exists()

    client.save_label("p01_left", str(save_nifti(tmp_path / "one.nii.gz", label_of("p01_left")[:, :, None])))
    assert fresh.train()["status"] == "DONE"
    stats = fresh.stats()
    assert stats["published"] is True
    assert stats["trained_on"] == 1
    assert stats["pld"]["scored"] == len(FRAMES) - 1
    assert "error" not in stats

    for name in FRAMES[1:]:
        client.save_label(name, str(save_nifti(tmp_path / "more.nii.gz", label_of(name)[:, :, None])))
    for strategy in client.info()["strategies"]:
        assert client.next_sample(strategy, {}) == {}
    assert fresh.train()["status"] == "DONE"
    stats = fresh.stats()
    assert stats["pld"]["scored"] == 0
    assert stats["trained_on"] + len(_validation(fresh)) == len(FRAMES)


def _validation(server: Server) -> list[str]:
    return StudyState.open(server.state, Settings()).ledger.rounds()[-1].validation_ids


def test_a_wrong_setting_in_a_request_is_named_and_starts_nothing(fresh: Server) -> None:
    before = fresh.tasks("train")
    reply = fresh.request("POST", "/train/carotid", json={"epochs": 0})
    assert reply.status_code == 400
    assert "Expected `epochs` to be an integer, at least 1 and at most 1000, got 0" in reply.json()["detail"]
    assert fresh.tasks("train") == before
