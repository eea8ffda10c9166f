from pathlib import Path

import pytest
from fastapi import Depends, FastAPI, HTTPException
from fastapi.testclient import TestClient

from lib.ohif import APP_CONFIG_PATH, MEASUREMENT_PATH, LastPredictions, serve_bridge

PARAMS = {"imt": {"mean_mm": 0.71, "flags": []}, "pld": 0.01, "confidence": 0.93}
STOCK = "window.config = { modes: [], extensions: [] };"


@pytest.fixture
def ohif(tmp_path: Path) -> Path:
    (tmp_path / "app-config.js").write_text(STOCK, encoding="utf-8")
    return tmp_path


@pytest.fixture
def server() -> FastAPI:
    """A server that answers everything under `/ohif/` by itself, as MONAI Label does."""
    app = FastAPI()

    @app.get("/ohif/{path:path}")
    def stock(path: str) -> str:
        return f"stock {path}"

    return app


def test_our_configuration_comes_before_the_servers_and_the_rest_stays(server, ohif):
    serve_bridge(server, ohif, LastPredictions())
    client = TestClient(server)

    reply = client.get(APP_CONFIG_PATH)
    assert reply.text.startswith(STOCK)
    assert "sequal" in reply.text
    assert reply.headers["content-type"].startswith("text/javascript")
    assert reply.headers["cache-control"] == "no-cache"
    assert client.get("/ohif/app.bundle.js").json() == "stock app.bundle.js"


def test_the_measurement_of_the_last_prediction(server, ohif):
    predictions = LastPredictions()
    serve_bridge(server, ohif, predictions)
    predictions.keep("1.2.3", PARAMS)

    reply = TestClient(server).get(MEASUREMENT_PATH, params={"image": "1.2.3"})

    assert reply.json() == {"image": "1.2.3", **PARAMS}


def test_an_image_without_a_prediction_is_not_found_and_the_reply_says_what_to_do(server, ohif):
    serve_bridge(server, ohif, LastPredictions())

    reply = TestClient(server).get(MEASUREMENT_PATH, params={"image": "1.2.3"})

    assert reply.status_code == 404
    assert reply.json()["detail"].startswith("Expected `image` to be one that was segmented")
    assert "'1.2.3'" in reply.json()["detail"]


def test_who_may_not_read_gets_no_measurement(server, ohif):
    def nobody() -> None:
        raise HTTPException(status_code=401)

    predictions = LastPredictions()
    predictions.keep("1.2.3", PARAMS)
    serve_bridge(server, ohif, predictions, [Depends(nobody)])

    assert TestClient(server).get(MEASUREMENT_PATH, params={"image": "1.2.3"}).status_code == 401


def test_serving_again_replaces_the_routes(server, ohif):
    old, new = LastPredictions(), LastPredictions()
    old.keep("1.2.3", PARAMS)
    serve_bridge(server, ohif, old)
    count = len(server.router.routes)
    serve_bridge(server, ohif, new)

    assert len(server.router.routes) == count
    assert TestClient(server).get(MEASUREMENT_PATH, params={"image": "1.2.3"}).status_code == 404
