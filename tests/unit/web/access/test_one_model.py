from fastapi import FastAPI
from fastapi.testclient import TestClient

from lib.web.access import asked_model
from lib.web.access.one_model import OneModel


def test_below_the_address_of_a_model_a_request_is_for_that_model_alone() -> None:
    app = FastAPI()

    @app.get("/which")
    def in_a_thread() -> str | None:
        return asked_model()

    @app.get("/")
    async def on_the_loop() -> str | None:
        return asked_model()

    app.add_middleware(OneModel, models=("carotid",))
    client = TestClient(app)
    assert [client.get(path).json() for path in ("/sequal/carotid/which", "/sequal/carotid", "/which", "/")] == [
        "carotid",
        "carotid",
        None,
        None,
    ]
    assert client.get("/sequal/carotids/which").json() == {"detail": "Not Found"}
    refused = client.get("/sequal/volume/which")
    assert (refused.status_code, refused.json()["detail"][:52]) == (
        404,
        "Expected `model` to be one of carotid, got 'volume'.",
    )
