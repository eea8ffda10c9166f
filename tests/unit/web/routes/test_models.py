import json
from pathlib import Path

import pytest
from fastapi import Depends, FastAPI, HTTPException
from fastapi.testclient import TestClient

from lib.configs import Study
from lib.web.ohif import LastPredictions
from lib.web.routes import Access, Served, serve_studies
from lib.web.routes.models import MODELS_PATH
from sequal.learning.training import run_round
from sequal.prediction import ServedModel
from unit.synthetic_study import make_study, settings


@pytest.fixture
def files(tmp_path):
    return make_study(tmp_path / "study")


@pytest.fixture
def study(files):
    served = ServedModel(files.state.published, Path("none.pt"), "cpu")
    return Study(settings(), files.state, served, Path("none.pt"), None, None)


def _client(study, **access):
    app = FastAPI()
    serve_studies(app, [Served(study, lambda: None)], LastPredictions(), Access(**access))
    return TestClient(app)


def test_a_model_that_is_not_served_is_refused(study):
    assert _client(study).get(MODELS_PATH, params={"model": "carotid"}).status_code == 200
    assert _client(study).get(MODELS_PATH, params={"model": "volume"}).status_code == 404


def _round(files, **changes):
    return run_round(files.labelled, files.unlabelled, files.state, settings(epochs=1, **changes))


def test_models_are_listed_with_their_figures_and_put_back(files, study):
    client = _client(study)
    assert client.get(MODELS_PATH).json() == {"in_service": None, "models": []}
    digests = [_round(files, seed=seed).digest for seed in (1, 2)]
    listed = client.get(MODELS_PATH).json()
    assert [model["round"] for model in listed["models"]] == [1, 2]
    first = listed["models"][0]
    assert first["labels"] == files.state.ledger.rounds()[0].train_ids
    assert first["figures"]["trained_on"] == len(first["labels"])
    assert first["digest"] == digests[0]
    json.dumps(listed)

    for number in (2, 1):
        reply = client.put(f"{MODELS_PATH}/{number}")
        assert (reply.status_code, reply.json()["in_service"]) == (200, number)
        assert study.served.digest == digests[number - 1]
        scores = files.state.ledger.scores(study.served.digest, "pld")
        assert set(scores) <= set(files.pool_ids)
    assert _round(files).round == 3


@pytest.mark.parametrize("number", ["9", "-1", "x", "1e3", "٣", "9" * 40])
def test_what_is_no_kept_round_is_not_found(files, study, number):
    _round(files)
    before = files.state.published.read_bytes()
    reply = _client(study).put(f"{MODELS_PATH}/{number}")
    assert (reply.status_code, reply.json()["detail"][:9]) == (404, "Expected ")
    assert files.state.published.read_bytes() == before


def test_a_damaged_checkpoint_is_refused_with_the_reason(files, study):
    _round(files)
    files.state.checkpoint_of(1).write_bytes(b"PK")
    files.state.published.unlink()
    reply = _client(study).put(f"{MODELS_PATH}/1")
    assert (reply.status_code, "damaged" in reply.json()["detail"]) == (409, True)


def test_who_may_not_train_may_not_change_the_model(files, study):
    def nobody() -> None:
        raise HTTPException(status_code=403)

    _round(files)
    client = _client(study, train=[Depends(nobody)])
    assert client.get(MODELS_PATH).status_code == 200
    assert client.put(f"{MODELS_PATH}/1").status_code == 403
