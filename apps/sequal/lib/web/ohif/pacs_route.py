"""The viewer's way to the PACS, in place of MONAI Label's own."""

from collections.abc import Sequence
from typing import Final

import anyio
import anyio.to_thread
from fastapi import FastAPI, HTTPException, Request, Response, params, status
from fastapi.routing import APIRoute

from lib.web.ohif.in_front import put_in_front
from lib.web.ohif.pacs_service import PacsRequest, PacsService
from sequal.files.imaging.claims import largest_upload

__all__ = ["PACS_PATH", "serve_pacs"]

PACS_PATH: Final = "/proxy/dicom/{path:path}"
#: A browser asks for six things at once.
_AT_ONCE: Final = 24
_TURN_S: Final = 15.0


def serve_pacs(
    server: FastAPI,
    pacs: PacsService,
    dependencies: Sequence[params.Depends] = (),
    *,
    at_once: int = _AT_ONCE,
    turn_s: float = _TURN_S,
) -> None:
    """Answer what viewers ask of the PACS, in place of MONAI Label's own proxy.

    That one waits for the PACS without end, on the event loop: a PACS that hangs stops the whole server. Here a request
    waits in a thread. The threads are not those of the server's pool, which also sends files and runs synchronous
    endpoints, so a PACS that is slow holds up nothing but what is asked of it. Called again, the route replaces the
    old one.

    Args:
        server: MONAI Label's FastAPI application.
        pacs: whom to ask, and how long to wait.
        dependencies: who may ask, as MONAI Label's own endpoints have it.
        at_once: requests that the PACS gets at a time; others wait for their turn.
        turn_s: longest wait for a turn.
    """
    turns = anyio.Semaphore(at_once)

    async def hand_on(request: Request, path: str) -> Response:
        asked = PacsRequest(request.method, path, request.url.query, request.headers, await _body(request))
        try:
            with anyio.fail_after(turn_s):
                await turns.acquire()
        except TimeoutError as error:
            raise pacs.silent(f"one of {at_once} requests within {turn_s:g} s, got silence") from error
        try:
            return await anyio.to_thread.run_sync(pacs.ask, asked, limiter=anyio.CapacityLimiter(1))
        finally:
            turns.release()

    route = APIRoute(
        PACS_PATH,
        hand_on,
        methods=["GET", "POST"],
        include_in_schema=False,
        dependencies=list(dependencies),
    )
    put_in_front(server, [route])


async def _body(request: Request) -> bytes:
    """What a viewer sends to the PACS, as far as the server takes uploads.

    Raises:
        HTTPException: 413 for more.
    """
    parts, length, largest = list[bytes](), 0, largest_upload()
    async for part in request.stream():
        length += len(part)
        if length > largest:
            raise HTTPException(
                status.HTTP_413_CONTENT_TOO_LARGE,
                f"Expected a request to the PACS of at most {largest} bytes, got more. Send it to the PACS itself.",
            )
        parts.append(part)
    return b"".join(parts)
