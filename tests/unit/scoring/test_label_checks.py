import threading
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch

from lib.scoring import LabelChecks
from sequal.prediction import ServedModel
from unit.commands.studies import random_checkpoint
from unit.synthetic_study import make_study, settings


@pytest.fixture
def world(tmp_path):
    """A study of two labelled images with random weights in service, as the server holds it, and its datastore."""
    made = make_study(tmp_path, labelled=2, unlabelled=1)
    weights = random_checkpoint(tmp_path / "weights.pt")
    served = ServedModel(made.state.published, weights, torch.device("cpu"))
    study = SimpleNamespace(
        state=made.state, served=served, starting_weights=weights, settings=settings(), device=torch.device("cpu")
    )
    files = {item.id: item for item in [*made.labelled, *made.unlabelled]}
    store = SimpleNamespace(
        get_label_by_image_id=lambda image, tag: image,
        get_label_uri=lambda image, tag: str(files[image].label or ""),
        get_image_uri=lambda image: str(files[image].image),
    )
    return study, store


def train(state, images):
    state.ledger.start_round(settings={}, seed=0, versions={}, train_ids=images, validation_ids=[], unlabelled_count=0)


def test_a_label_is_checked_with_what_the_pool_was_scored_with(world):
    study, store = world
    study.state.ledger.put_scores(study.served.digest, {"predicted_dice": {"im0": 0.625}})
    LabelChecks(study, lambda: store).check("im0")
    (found,) = study.state.ledger.checks()
    assert (found.image, found.checkpoint_digest, found.predicted_dice) == ("im0", study.served.digest, 0.625)


def test_a_model_is_not_judged_by_a_label_that_it_learnt_from(world):
    study, store = world
    random_checkpoint(study.state.published, seed=1)  # a model of no known round: all rounds count
    train(study.state, ["im0"])
    checks = LabelChecks(study, lambda: store)
    checks.check("im0")
    checks.check("im1")
    assert [one.image for one in study.state.ledger.checks()] == ["im1"]


def test_a_corrected_label_judges_the_mask_that_the_former_one_judged(world):
    study, store = world
    checks = LabelChecks(study, lambda: store)
    checks.check("im0")
    (right,) = study.state.ledger.checks()
    study.state.ledger.put_check(replace(right, dice=0.0))  # as a label drawn by mistake found it
    random_checkpoint(study.state.published, seed=1)
    train(study.state, ["im0"])
    checks.check("im0")
    assert study.state.ledger.checks() == [right]
    study.starting_weights.unlink()  # the model that was judged is gone, and so is the judgement
    checks.check("im0")
    assert study.state.ledger.checks() == []


def test_a_former_model_of_other_settings_judges_nothing(world):
    study, store = world
    checks = LabelChecks(study, lambda: store)
    checks.check("im0")
    random_checkpoint(study.state.published, seed=1)
    train(study.state, ["im0"])
    study.settings = settings(models="volume", labels="liver")
    checks.check("im0")
    assert study.state.ledger.checks() == []


def test_whatever_goes_wrong_the_next_label_is_checked_and_nobody_waits(world, caplog):
    study, store = world
    entered, go_on = threading.Event(), threading.Event()
    files = store.get_image_uri

    def slow(image):
        entered.set()
        assert go_on.wait(30)
        return files(image)

    store.get_image_uri = slow
    done = threading.Event()
    put_check = study.state.ledger.put_check
    study.state.ledger.put_check = lambda found: (put_check(found), done.set())
    checks = LabelChecks(study, lambda: store)
    for image in ("gone", "im2", "im1"):  # not in the study; without a label; checked
        checks.put(image)
    assert entered.wait(30)
    assert study.state.ledger.checks() == []  # all three calls are back, and none is done
    go_on.set()
    assert done.wait(60)
    assert [one.image for one in study.state.ledger.checks()] == ["im1"]
    assert "The mask of gone cannot be judged" in caplog.text
    assert "The mask of im2 cannot be judged" in caplog.text


def test_without_a_model_nothing_is_checked(world, tmp_path):
    study, store = world
    study.served = ServedModel(tmp_path / "none.pt", tmp_path / "neither.pt", torch.device("cpu"))
    LabelChecks(study, lambda: store).check("im0")
    assert study.state.ledger.checks() == []
