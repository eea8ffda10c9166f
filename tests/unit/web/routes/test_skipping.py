from pathlib import Path

import pytest
from fastapi import Depends, FastAPI, HTTPException
from fastapi.testclient import TestClient

from lib.activelearning import LeasedStrategy
from lib.configs import Study
from lib.web.ohif import LastPredictions
from lib.web.routes import Access, Served, serve_studies
from sequal.acquisition import STRATEGIES
from sequal.study.state import StudyState
from unit.synthetic_study import settings

IMAGES = ["a", "b", "c"]


class _Datastore:
    def list_images(self) -> list[str]:
        return IMAGES

    def get_labeled_images(self) -> list[str]:
        return []

    def get_unlabeled_images(self) -> list[str]:
        return IMAGES

    def get_image_uri(self, image: str) -> str:
        return image


class _Served:
    digest = None


@pytest.fixture
def study(tmp_path: Path) -> Study:
    return Study(settings(), StudyState.open(tmp_path, settings()), _Served(), Path(), None, None)


@pytest.fixture
def client(study: Study) -> TestClient:
    app = FastAPI()
    serve_studies(app, [Served(study, _Datastore)], LastPredictions(), Access())
    return TestClient(app)


def _skip(client: TestClient, image: str, **body: object):
    return client.post("/sequal/skip", params={"image": image}, json=body)


@pytest.mark.parametrize("strategy", sorted(STRATEGIES))
def test_a_skipped_image_is_asked_of_nobody_until_it_is_taken_back(study, client, strategy):
    assert _skip(client, "b", client_id="anna", reason="wrong side").status_code == 200
    ask = LeasedStrategy(study, STRATEGIES[strategy])
    asked = [ask({"client_id": name}, _Datastore()).get("id") for name in ("anna", "bob", "carl")]
    assert set(asked) == {"a", "c", None}
    assert client.delete("/sequal/skip", params={"image": "b"}).json() == {"skipped": False, "image": "b"}
    assert ask({"client_id": "carl"}, _Datastore())["id"] == "b"


def test_a_skip_is_kept_with_who_said_why_and_ends_the_lease(study, client):
    study.state.ledger.acquire_lease(["b"], "anna", 60)
    reply = _skip(client, "b", client_id="anna", reason="  a vein ").json()
    assert (reply["skipped"], reply["image"], reply["client"], reply["reason"]) == (True, "b", "anna", "a vein")
    assert study.state.ledger.leased() == {}
    (record,) = study.state.ledger.skips()
    assert (record.image, record.client, record.reason) == ("b", "anna", "a vein")


def test_training_and_scoring_leave_it_out(study, client):
    _skip(client, "b")
    assert [item.id for item in study.unlabelled(_Datastore())] == ["a", "c"]
    assert [item.id for item in study.listed(_Datastore())[1]] == ["a", "c"]


def test_the_body_may_be_left_out(study, client):
    assert client.post("/sequal/skip", params={"image": "a"}).status_code == 200
    assert study.state.ledger.skips()[0].client == "anonymous"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"{", "to be JSON"),
        (b"[" * 60_000, "to be JSON"),
        (b"[1]", "a JSON object, got list"),
        (b'{"reason": 7}', "`reason` to be a printable text"),
        (b'{"client_id": "' + b"x" * 257 + b'"}', "`client_id` to be a printable text"),
        (b'{"reason": "\\ud800"}', "`reason` to be a printable text"),
        (b" " * 70_000, "at most 65536 bytes"),
    ],
)
def test_a_wrong_body_is_refused_with_the_reason(study, client, content, words):
    reply = client.post("/sequal/skip", params={"image": "a"}, content=content)
    assert reply.status_code == 400
    assert words in reply.json()["detail"]
    assert study.state.ledger.skips() == []


def test_what_is_no_image_and_what_was_not_skipped_is_not_found(client):
    for reply in (_skip(client, "nobody"), client.delete("/sequal/skip", params={"image": "nobody"})):
        assert (reply.status_code, "'nobody'" in reply.json()["detail"]) == (404, True)
    reply = client.delete("/sequal/skip", params={"image": "a"})
    assert (reply.status_code, "one that was skipped" in reply.json()["detail"]) == (404, True)


def test_who_may_not_annotate_may_not_skip(study):
    def nobody() -> None:
        raise HTTPException(status_code=401)

    app = FastAPI()
    serve_studies(app, [Served(study, _Datastore)], LastPredictions(), Access(annotate=[Depends(nobody)]))
    assert _skip(TestClient(app), "a").status_code == 401
    assert study.state.ledger.skips() == []
