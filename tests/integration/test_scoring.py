import math

import pytest

from integration.data import frame, save_nifti
from integration.server import Server, task_result, wait_for
from sequal.settings import Settings
from sequal.study.state import StudyState, file_digest

pytestmark = [pytest.mark.server, pytest.mark.timeout(240)]


def _scores(server: Server) -> dict[str, float]:
    ledger = StudyState.open(server.state, Settings()).ledger
    return ledger.scores(file_digest(server.published), "pld")


def _unlabelled(server: Server) -> set[str]:
    objects = server.client().datastore()["objects"]
    return {image for image, entry in objects.items() if "final" not in entry["labels"]}


def test_only_what_is_new_is_scored_and_the_highest_free_score_is_asked_for(server: Server) -> None:
    task = server.score()
    assert task["status"] == "DONE", task
    assert task_result(task)["checkpoint"] == file_digest(server.published)
    scores = _scores(server)
    assert set(scores) >= _unlabelled(server)
    assert all(math.isfinite(score) and score >= 0 for score in scores.values())

    save_nifti(server.studies / "newcomer.nii.gz", frame(300)[0][:, :, None])
    wait_for("the watcher to list the new image", lambda: "newcomer" in _unlabelled(server))
    again = task_result(server.score())
    assert again["scored"] == 1
    assert again["left_out"] == {}
    assert "newcomer" in _scores(server)

    leased = StudyState.open(server.state, Settings()).ledger.leased()
    free = {image: score for image, score in _scores(server).items() if image in _unlabelled(server) - leased.keys()}
    asked = server.client("fred").next_sample("pld", {})
    assert asked["id"] == max(free, key=lambda image: free[image])
    assert asked["score"] == pytest.approx(free[asked["id"]])


def test_no_scoring_starts_by_itself_when_it_is_switched_off(server: Server) -> None:
    before = len(server.tasks("scoring"))
    server.client("gina").next_sample("pld", {})
    assert len(server.tasks("scoring")) == before
