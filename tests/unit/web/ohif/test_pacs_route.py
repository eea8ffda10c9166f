import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import anyio
import anyio.to_thread
import httpx
import pytest
from fastapi import APIRouter, Depends, FastAPI, HTTPException, Request, Response
from fastapi.testclient import TestClient

from lib.web.ohif import PacsRequest, PacsService, pacs_route, serve_pacs
from unit.web.ohif.echo_pacs import EchoPacs, echo_pacs

#: For what must happen; reached only by a test that fails.
LONG_S = 30.0


@pytest.fixture(scope="module")
def pacs() -> Iterator[EchoPacs]:
    with echo_pacs() as server:
        yield server


def _server() -> FastAPI:
    """A server with proxies and a synchronous endpoint, as MONAI Label has them."""
    router = APIRouter(prefix="/proxy")
    for path in ("/dicom/qido/{path:path}", "/dicom/wado/{path:path}", "/dicom/stow/{path:path}", "/dicom/{path:path}"):
        router.add_api_route(path, lambda path: "stock", methods=["GET", "POST"])
    app = FastAPI()
    app.include_router(router)
    app.add_api_route("/info", lambda: "here")
    return app


def _somebody(request: Request) -> None:
    if request.headers.get("x-user") == "nobody":
        raise HTTPException(status_code=401)


@pytest.fixture
def client(pacs: EchoPacs) -> TestClient:
    app = _server()
    for prefix in ("old", "wa"):  # as after a reload
        serve_pacs(app, PacsService(pacs.url, wado_prefix=prefix), [Depends(_somebody)])
    return TestClient(app)


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ("qido/studies", "studies"),
        ("qido/studies?limit=101&offset=0", "studies?limit=101&offset=0"),
        (
            "qido/studies?PatientName=*p02*&includefield=a%2Cb",
            "studies?PatientName=*p02*&includefield=a&includefield=b",
        ),
        ("qido/studies?PatientName=M%C3%BCller%20X&StudyDate=", "studies?PatientName=M%C3%BCller%20X"),
        ("qido/studies/1.2/series/1.3/metadata?limit=1", "wa/studies/1.2/series/1.3/metadata?limit=1"),
        ("wado/studies/1.2?limit=1", "wa/studies/1.2?limit=1"),
        ("stow/studies", "studies"),
        ("studies/1.2", "studies/1.2"),
        ("wado?requestType=WADO&objectUID=1.2", "wado?requestType=WADO&objectUID=1.2"),
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_request_reaches_the_pacs_with_its_query(client, method, asked, expected):
    said = client.request(method, f"/proxy/dicom/{asked}").json()
    assert (said["method"], said["path"]) == (method, f"/dicom-web/{expected}")


def test_what_is_sent_to_the_pacs_has_a_limit(client, pacs, monkeypatch):
    monkeypatch.setattr(pacs_route, "largest_upload", lambda: 1000)
    assert client.post("/proxy/dicom/stow/studies", content=b"x" * 1000).status_code == 200
    asked = len(pacs.asked)
    refused = client.post("/proxy/dicom/stow/studies", content=b"x" * 1001)
    assert refused.status_code == 413
    assert "1000 bytes" in refused.json()["detail"]
    assert len(pacs.asked) == asked


def test_content_and_headers_go_both_ways(client):
    sent = client.post("/proxy/dicom/stow/studies", content=b"\x00\xff", headers={"Content-Type": "application/dicom"})
    assert sent.json()["body"] == "\x00\xff"
    assert sent.json()["headers"]["content-type"] == "application/dicom"
    assert sent.headers["content-type"] == "application/dicom+json"
    zipped = client.get("/proxy/dicom/wado/zipped")
    assert zipped.headers["content-encoding"] == "gzip"
    assert zipped.text.startswith("0123456789abcdef")
    assert client.get("/proxy/dicom/wado/conflict").status_code == 409


def test_who_may_not_ask_does_not_reach_the_pacs(client, pacs):
    before = list(pacs.asked)
    assert client.get("/proxy/dicom/qido/studies", headers={"X-User": "nobody"}).status_code == 401
    assert pacs.asked == before


def test_a_path_that_leaves_the_service_is_refused(client, pacs):
    before = list(pacs.asked)
    assert client.post("/proxy/dicom/%2e%2e/tools/shutdown").status_code == 400
    assert pacs.asked == before


def test_everything_else_is_answered_by_the_server_itself(client):
    assert client.get("/info").json() == "here"
    assert client.put("/proxy/dicom/qido/studies").status_code == 405


@dataclass(frozen=True)
class _Stuck(PacsService):
    """Answers when it is let go."""

    asked: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    go: threading.Event = field(default_factory=threading.Event)

    def ask(self, request: PacsRequest) -> Response:
        self.asked.release()
        assert self.go.wait(LONG_S)
        return Response("at last")


def test_a_pacs_that_hangs_holds_up_no_other_endpoint_and_no_queue_for_ever():
    """The pool of threads for synchronous endpoints has one here, so that one request would fill it."""
    stuck, app, answers = _Stuck("http://pacs"), _server(), []
    serve_pacs(app, stuck, at_once=1, turn_s=0.3)

    async def play() -> None:
        anyio.to_thread.current_default_thread_limiter().total_tokens = 1
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://server") as client:

            async def ask() -> None:
                answers.append(await client.get("/proxy/dicom/qido/studies"))

            with anyio.fail_after(LONG_S):
                async with anyio.create_task_group() as group:
                    group.start_soon(ask)
                    while not stuck.asked.acquire(blocking=False):
                        await anyio.sleep(0.01)
                    try:
                        assert (await client.get("/info")).json() == "here"
                        late = await client.get("/proxy/dicom/qido/series")
                    finally:
                        stuck.go.set()
                assert (await client.get("/proxy/dicom/qido/studies")).text == "at last"
        assert late.status_code == 504
        assert "one of 1 requests within 0.3 s, got silence" in late.json()["detail"]

    # In a thread of its own: playwright, in the browser tests, keeps an event loop in this one.
    with ThreadPoolExecutor(1) as thread:
        thread.submit(anyio.run, play).result()
    assert [answer.text for answer in answers] == ["at last"]
