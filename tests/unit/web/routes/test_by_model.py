import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute
from fastapi.testclient import TestClient

from lib.web.routes.by_model import names_a_model, of_models

MODELS = ("carotid", "volume")


def _route(model: str, path: str, method: str = "GET") -> APIRoute:
    def answer(image: str = "", number: str = "") -> dict[str, str]:
        return {"by": model, "image": image, "number": number}

    return APIRoute(path, answer, methods=[method], dependencies=[names_a_model(MODELS)])


@pytest.fixture
def client():
    """Both have `/skip` and `/models/{number}`, frames alone have `/frames`."""
    app = FastAPI()
    routes = {model: [_route(model, "/skip", "POST"), _route(model, "/models/{number}")] for model in MODELS}
    routes["carotid"].append(_route("carotid", "/frames"))
    app.router.routes.extend(of_models(routes, {"ct": "volume", "frame": "carotid"}.get))
    return TestClient(app)


@pytest.mark.parametrize(
    ("query", "by"),
    [
        ({"image": "ct"}, "volume"),
        ({"image": "frame"}, "carotid"),
        ({"image": "neither"}, "carotid"),
        ({}, "carotid"),
        ({"model": "volume"}, "volume"),
        ({"image": "frame", "model": "volume"}, "volume"),
    ],
)
def test_the_study_of_the_image_answers_or_the_one_that_is_named(client, query, by):
    reply = client.post("/skip", params=query).json()
    assert (reply["by"], reply["image"]) == (by, query.get("image", ""))


def test_what_stands_in_the_path_reaches_the_one_that_is_named(client):
    assert client.get("/models/3", params={"model": "volume"}).json() == {"by": "volume", "image": "", "number": "3"}
    assert client.get("/models/3").json()["by"] == "carotid"


def test_what_one_model_alone_has_is_its_own(client):
    assert client.get("/frames", params={"image": "ct"}).json()["by"] == "carotid"


def test_a_model_that_is_not_served_is_refused(client):
    reply = client.post("/skip", params={"model": "liver"})
    assert reply.status_code == 404
    assert "one of carotid, volume, got 'liver'" in reply.json()["detail"]


def test_the_page_of_all_addresses_tells_of_the_key(client):
    told = client.get("/openapi.json").json()["paths"]["/models/{number}"]["get"]["parameters"]
    assert "model" in [parameter["name"] for parameter in told]
