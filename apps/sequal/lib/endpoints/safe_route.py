"""A route that never ends in a bare 500: whatever was raised reaches the client as what it is, with a cure."""

import logging
import os
import tempfile
from collections.abc import Callable, Coroutine
from typing import Any, Final

import anyio.to_thread
from fastapi import HTTPException, Request, Response, status
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse
from fastapi.routing import APIRoute
from monailabel.interfaces.exception import ImageNotFoundException, LabelNotFoundException, MONAILabelException
from starlette.exceptions import HTTPException as PlainHTTPException
from starlette.types import Message, Receive

from lib.configs import refusal
from sequal.errors import SequalError
from sequal.files.imaging.claims import SETTING, largest_upload
from sequal.study.storage import storage_problem

__all__ = ["SafeRoute"]

logger = logging.getLogger(__name__)

#: Requests that wait at a time, for a PACS say: the event loop's own forty would soon all wait.
_THREADS: Final = 200


class SafeRoute(APIRoute):
    """Answers as FastAPI's own, with a limit to what is sent, and with the reason of what went wrong."""

    def __init__(self, *args: Any, largest: int | None = None, **more: Any) -> None:  # noqa: ANN401 - as APIRoute
        self._largest = largest_upload() if largest is None else largest
        super().__init__(*args, **more)

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """FastAPI's handler, between reading the request and sending the reply."""
        handle, largest = super().get_route_handler(), self._largest

        async def answer(request: Request) -> Response:
            threads = anyio.to_thread.current_default_thread_limiter()
            threads.total_tokens = max(threads.total_tokens, _THREADS)
            try:
                response = await handle(Request(request.scope, _limited(request, largest), request._send))
            except PlainHTTPException as error:
                raise _explained(error) from error
            except Exception as error:
                raise _reason(error) from error
            if isinstance(response, FileResponse) and not os.path.isfile(response.path):
                raise HTTPException(
                    status.HTTP_404_NOT_FOUND, "Expected a file of this name, got none. Check the name."
                )
            return response

        return answer


def _limited(request: Request, largest: int) -> Receive:
    """What receives the body, until it is larger than it may be."""
    received = 0

    async def receive() -> Message:
        nonlocal received
        message = await request.receive()
        received += len(message.get("body", b""))
        if received > largest:
            raise HTTPException(
                status.HTTP_413_CONTENT_TOO_LARGE,
                f"Expected an upload of at most {largest} bytes, got more. Send a smaller file, or start the server "
                f"with a larger `--conf {SETTING}`.",
            )
        return message

    return receive


def _explained(error: PlainHTTPException) -> PlainHTTPException:
    """The same answer, or that of a full disk where FastAPI says that the body cannot be parsed."""
    problem = storage_problem(error.__cause__)
    return error if problem is None or error.status_code >= 500 else _no_room(problem)


def _reason(error: Exception) -> Exception:
    if isinstance(error, RequestValidationError):
        return error
    if isinstance(error, SequalError):
        return refusal(error)
    if isinstance(error, MONAILabelException):
        missing = isinstance(error, ImageNotFoundException | LabelNotFoundException)
        return HTTPException(status.HTTP_404_NOT_FOUND if missing else status.HTTP_400_BAD_REQUEST, str(error.msg))
    problem = storage_problem(error)
    if problem is not None:
        return _no_room(problem)
    if isinstance(error, FileNotFoundError):
        return HTTPException(status.HTTP_404_NOT_FOUND, f"Expected a file that is there, got none ({error.strerror}).")
    if isinstance(error, ValueError):
        shown = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
        return HTTPException(
            status.HTTP_400_BAD_REQUEST, f"Expected a request that can be understood, got one that cannot ({shown!r})."
        )
    logger.exception("A request failed")
    return HTTPException(
        status.HTTP_500_INTERNAL_SERVER_ERROR,
        f"Expected this request to work, got {type(error).__name__}. The server's log has the details; nothing was "
        "lost.",
    )


def _no_room(problem: BaseException) -> HTTPException:
    return HTTPException(
        status.HTTP_507_INSUFFICIENT_STORAGE,
        f"Expected room on the server's disks, got: {problem}. Nothing was changed; free some space for the study, its "
        f"state and temporary files ({tempfile.gettempdir()}), and ask again.",
    )
