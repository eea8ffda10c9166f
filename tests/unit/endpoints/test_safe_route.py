"""What went wrong reaches the client with its reason, and nobody waits for a handler that waits."""

import asyncio
import errno
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from fastapi import FastAPI, Form, HTTPException
from fastapi.responses import FileResponse
from fastapi.testclient import TestClient
from monailabel.interfaces.exception import ImageNotFoundException, MONAILabelError, MONAILabelException

from lib.endpoints.inherited import _in_thread
from lib.endpoints.safe_route import SafeRoute
from sequal.errors import ImageError, StudyError


def _ask(handler: Callable[..., object], **more: object) -> tuple[int, str]:
    server = FastAPI()
    server.router.routes.append(SafeRoute("/x", handler, methods=["GET", "PUT"], response_model=None, **more))
    client = TestClient(server, raise_server_exceptions=False)
    reply = client.put("/x", data={"text": "a" * 2000}) if more else client.get("/x")
    return reply.status_code, str(reply.json().get("detail"))


def _full() -> Exception:
    error = StudyError("Expected the ledger to be writable. Free space.")
    error.__cause__ = OSError(errno.ENOSPC, "No space left on device")
    return error


@pytest.mark.parametrize(
    ("error", "status", "words"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), 507, "free some space"),
        (OSError(errno.EROFS, "Read-only file system"), 507, "Read-only"),
        (_full(), 507, "Free space"),
        (StudyError("the split contradicts itself"), 500, "contradicts"),
        (ImageError("Expected an image"), 400, "Expected an image"),
        (ImageNotFoundException("Image x not found"), 404, "not found"),
        (MONAILabelException(MONAILabelError.INVALID_INPUT, "no such model"), 400, "no such model"),
        (ValueError("unsupported hashing algorithm"), 400, "hashing"),
        (FileNotFoundError(2, "No such file"), 404, "Expected a file"),
        (RuntimeError("a secret of the server"), 500, "The server's log has the details"),
        (HTTPException(418, "as it is"), 418, "as it is"),
    ],
)
def test_an_error_is_answered_as_what_it_is(error: Exception, status: int, words: str) -> None:
    def handler() -> None:
        raise error

    code, detail = _ask(handler)
    assert code == status
    assert words in detail
    assert "secret" not in detail


def test_a_folder_is_no_file_to_send(tmp_path: object) -> None:
    assert _ask(lambda: FileResponse(str(tmp_path)))[0] == 404


def test_an_upload_beyond_the_limit_is_refused_by_name_of_the_setting() -> None:
    def handler(text: str = Form()) -> str:
        return text

    code, detail = _ask(handler, largest=1000)
    assert code == 413
    assert "max_image_pixels" in detail


def test_a_full_disk_while_an_upload_is_read_is_told_as_such(monkeypatch: pytest.MonkeyPatch) -> None:
    def handler(text: str = Form()) -> str:
        return text

    async def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("starlette.requests.Request._get_form", full)
    code, detail = _ask(handler, largest=10_000)
    assert code == 507
    assert "free some space" in detail


def test_a_coroutine_of_monai_label_runs_in_a_thread_with_its_parameters() -> None:
    async def handler(number: int = 3) -> dict[str, object]:
        return {"number": number, "thread": threading.current_thread() is threading.main_thread()}

    server = FastAPI()
    server.router.routes.append(SafeRoute("/x", _in_thread(handler), methods=["GET"], response_model=None))
    client = TestClient(server)
    assert client.get("/x?number=7").json() == {"number": 7, "thread": False}
    assert client.get("/x?number=seven").status_code == 422


def test_a_request_that_waits_keeps_no_other_one_waiting() -> None:
    other_came = threading.Event()

    async def slow() -> str:
        assert other_came.wait(30)  # as MONAI Label's handlers wait: blocking, in a coroutine
        return "after the other one"

    def quick() -> str:
        other_came.set()
        return "at once"

    server = FastAPI()
    for path, handler in (("/slow", _in_thread(slow)), ("/quick", quick)):
        server.router.routes.append(SafeRoute(path, handler, methods=["GET"], response_model=None))

    async def both() -> list[str]:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(server), base_url="http://server") as client:
            replies = await asyncio.gather(*(client.get("/slow") for _ in range(60)), client.get("/quick"))
        return [reply.json() for reply in replies]

    with ThreadPoolExecutor(1) as thread:  # the browser tests leave an event loop in this one
        found = thread.submit(asyncio.run, both()).result()
    assert found == ["after the other one"] * 60 + ["at once"]
