import math

import pytest

from sequal.acquisition import SCORES_OF_ANY
from sequal.settings import Settings
from sequal.study.state import StudyState, file_digest
from unit.commands.studies import random_checkpoint


@pytest.fixture
def weights(app_folder):
    return random_checkpoint(app_folder / "model" / "pretrained_carotid.pt")


def ledger(folder):
    return StudyState.open(folder, Settings()).ledger


def test_unlabelled_images_are_scored_once(run, studies, app_folder, weights, tmp_path):
    state = tmp_path / "state"
    result = run("score", studies, "--app", app_folder, "--state", state)
    assert result.exit_code == 0, result.output
    digest = file_digest(weights)
    for name in SCORES_OF_ANY:
        scores = ledger(state).scores(digest, name)
        assert sorted(scores) == ["im2", "im3", "im4", "im5"]
        assert all(0 <= value < 10 for value in scores.values())
    assert "Nothing to score" in run("score", studies, "--app", app_folder, "--state", state).stdout
    assert ledger(state).scored_images(digest, ["sqa"]) == set()


def test_what_the_strategy_needs_is_scored_as_well(run, studies, app_folder, weights, tmp_path):
    state = tmp_path / "state"
    place = ("score", studies, "--app", app_folder, "--state", state)
    run(*place)
    assert run(*place, "--conf", "strategy=sqa").exit_code == 0
    scores = ledger(state).scores(file_digest(weights), "sqa")
    assert sorted(scores) == ["im2", "im3", "im4", "im5"]
    assert all(math.isnan(value) for value in scores.values())  # these networks have no error branch


def test_an_unreadable_image_is_named_and_not_tried_again(run, studies, app_folder, weights, tmp_path):
    (studies / "broken.nii.gz").write_bytes(b"no image")
    state = tmp_path / "state"
    result = run("score", studies, "--app", app_folder, "--state", state)
    assert result.exit_code == 0
    assert "broken" in result.stdout.split("Left out")[1]
    assert ledger(state).scored_images(file_digest(weights), ["pld"]) == {"broken", "im2", "im3", "im4", "im5"}
    assert "Nothing to score" in run("score", studies, "--app", app_folder, "--state", state).stdout


def test_the_published_checkpoint_comes_before_the_starting_weights(run, studies, app_folder, weights, tmp_path):
    state = tmp_path / "state"
    published = random_checkpoint(state / "published.pt", seed=1)
    run("score", studies, "--app", app_folder, "--state", state)
    assert ledger(state).scores(file_digest(weights), "pld") == {}
    assert len(ledger(state).scores(file_digest(published), "pld")) == 4


def test_without_a_model_nothing_is_made(run, studies, app_folder, tmp_path):
    result = run("score", studies, "--app", app_folder, "--state", tmp_path / "state")
    assert result.exit_code == 2
    assert "cli.py pretrain" in result.stderr
    assert not (tmp_path / "state").exists()
