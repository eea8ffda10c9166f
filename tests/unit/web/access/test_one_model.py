import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path

import pytest
import uvicorn
from fastapi import FastAPI, Request
from fastapi.staticfiles import StaticFiles
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


@contextmanager
def _connected(app: FastAPI) -> Iterator[HTTPConnection]:
    """One connection to a real server: its requests may share a context, which no test client shows."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        server = uvicorn.Server(uvicorn.Config(app, log_level="error", http="h11"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        connection = HTTPConnection(*listening.getsockname(), timeout=30)
        try:
            yield connection
        finally:
            connection.close()
            server.should_exit = True
            thread.join()


def test_the_next_request_of_a_connection_is_for_the_whole_server_again() -> None:
    app = FastAPI()

    @app.put("/put")
    async def put(request: Request) -> int:
        return len(await request.body())

    @app.get("/which")
    def which() -> str | None:
        return asked_model()

    app.add_middleware(OneModel, models=("volume",))
    answers = []
    with _connected(app) as connection:
        for method, path in (("PUT", "/sequal/volume/put"), ("GET", "/which"), ("GET", "/sequal/volume/which")):
            connection.request(method, path, b"." * 200_000 if method == "PUT" else None)
            answers.append(connection.getresponse().read())
    assert answers == [b"200000", b"null", b'"volume"']


@pytest.mark.parametrize("root", ["", "/behind/proxy"])
def test_a_redirect_and_the_files_of_the_server_keep_the_model(tmp_path: Path, root: str) -> None:
    app = FastAPI()
    (tmp_path / "pages").mkdir()
    (tmp_path / "pages" / "index.html").write_text("a page")

    @app.post("/train/")
    def train() -> str | None:
        return asked_model()

    app.mount("/static", StaticFiles(directory=tmp_path, html=True))
    app.add_middleware(OneModel, models=("volume",))
    client = TestClient(app, root_path=root)
    redirected = client.post(f"{root}/sequal/volume/train", follow_redirects=False)
    place = f"http://testserver{root}/sequal/volume/train/"
    assert (redirected.status_code, redirected.headers["location"]) == (307, place)
    assert client.post(f"{root}/sequal/volume/train").json() == "volume"
    assert client.post(f"{root}/train").json() is None
    pages = client.get(f"{root}/sequal/volume/static/pages")
    assert (pages.text, pages.url) == ("a page", f"http://testserver{root}/sequal/volume/static/pages/")
