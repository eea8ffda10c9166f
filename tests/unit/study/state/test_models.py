import numpy as np
import pytest
import torch

from sequal.errors import CheckpointError
from sequal.settings import Settings
from sequal.study.state import Provenance, StudyModels, StudyState, file_digest, publish, save_checkpoint

NETWORK = "unet"


def _save(path, number, name=NETWORK):
    weights = {"w": torch.full((2,), float(number))}
    members = {"teacher": {"architecture": {"name": name, "kwargs": {}}, "weights": weights}}
    payload = {"format": 2, "model": "carotid", "method": "sequal", "members": members, "meta": {"round": number}}
    return save_checkpoint(path, payload)


def _check(checkpoint, name):
    if checkpoint.networks != [NETWORK]:
        raise CheckpointError(f"Expected {name} to hold a {NETWORK}, got {checkpoint.networks}")


@pytest.fixture
def state(tmp_path):
    return StudyState.open(tmp_path / "state", Settings())


@pytest.fixture
def starting(tmp_path):
    _save(tmp_path / "start.pt", 0)
    return tmp_path / "start.pt"


def _round(state, *, status="published", ids=("a",), name=NETWORK):
    ledger = state.ledger
    number = ledger.start_round(settings={}, seed=0, versions={}, train_ids=ids, validation_ids=[], unlabelled_count=0)
    digest = _save(state.checkpoint_of(number), number, name)
    if status == "published":
        publish(state.checkpoint_of(number), state.published)
    ledger.finish_round(number, status=status, reason="r", metrics={"metric": 0.5}, checkpoint_digest=digest)
    return number


def test_a_new_study_has_its_starting_weights_in_service(state, starting):
    models = StudyModels(state, starting)
    (model,) = models.kept()
    assert (model.round, model.in_service, model.digest) == (0, True, file_digest(starting))
    assert StudyModels(state, None).kept() == []
    assert StudyModels(state, None).digest is None


def test_every_kept_round_is_listed_and_one_is_in_service(state, starting):
    _round(state, ids=["a"])
    _round(state, ids=["a", "b"])
    _round(state, status="rejected", ids=["a", "b", "c"])
    models = StudyModels(state, starting)
    assert [(model.round, model.in_service) for model in models.kept()] == [
        (0, False),
        (1, False),
        (2, True),
        (3, False),
    ]
    assert models.in_service().record.train_ids == ["a", "b"]
    state.checkpoint_of(1).unlink()
    state.checkpoint_of(2).unlink()  # in service: the published file holds it
    assert [model.round for model in models.kept()] == [0, 2, 3]


@pytest.mark.parametrize("number", [0, 1, 2, 3])
def test_a_model_is_put_back_with_its_own_bytes(state, starting, number):
    for status in ("published", "published", "rejected"):
        _round(state, status=status)
    models = StudyModels(state, starting)
    wanted = next(model for model in models.kept() if model.round == number)
    models.put_back(number, _check)
    assert file_digest(state.published) == wanted.digest == models.digest
    assert models.in_service().round == number


def test_refined_labels_of_later_rounds_go(state, starting):
    for _ in range(2):
        number = _round(state)
        label = np.ones((4, 3, 1), np.uint8)
        state.refined.put(f"im{number}", label, Provenance("d", number, "c", 0.8, 0.1, 1.0))
    assert StudyModels(state, starting).put_back(1, _check) == ["im2"]
    assert state.refined.image_ids() == ["im1"]
    assert StudyModels(state, starting).put_back(0, _check) == ["im1"]


def test_what_is_not_kept_is_named(state, starting):
    _round(state)
    for number in (2, -1):
        with pytest.raises(LookupError, match=rf"a kept model \(0, 1\), got {number}"):
            StudyModels(state, starting).put_back(number, _check)


def test_a_damaged_or_another_file_never_gets_into_service(state, starting):
    for _ in range(4):
        _round(state)
    before = state.published.read_bytes()
    state.checkpoint_of(1).write_bytes(b"PK")
    _save(state.checkpoint_of(2), 7)
    _save(state.checkpoint_of(3), 3, "segresnet")
    for number, words in ((1, "damaged"), (2, "got another one"), (3, "hold a unet")):
        with pytest.raises(CheckpointError, match=words):
            StudyModels(state, starting).put_back(number, _check)
    assert state.published.read_bytes() == before
