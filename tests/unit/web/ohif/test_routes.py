from pathlib import Path

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from lib.web.ohif import APP_CONFIG_PATH, VOLUME_LABELS, serve_app_config

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
    serve_app_config(server, ohif)
    client = TestClient(server)

    reply = client.get(APP_CONFIG_PATH)
    assert reply.text.startswith(STOCK)
    assert "sequal" in reply.text
    assert reply.headers["content-type"].startswith("text/javascript")
    assert reply.headers["cache-control"] == "no-cache"
    assert client.get("/ohif/app.bundle.js").json() == "stock app.bundle.js"


def test_volumes_have_a_script_of_their_own(server, ohif):
    serve_app_config(server, ohif, [VOLUME_LABELS])

    served = TestClient(server).get(APP_CONFIG_PATH).text
    assert served == f"{STOCK}\n{VOLUME_LABELS.read_text(encoding='utf-8')}"


def test_serving_again_replaces_the_route(server, ohif):
    serve_app_config(server, ohif)
    count = len(server.router.routes)
    serve_app_config(server, ohif)

    assert len(server.router.routes) == count
