"""`/sequal/MODEL/…`: the server as it would be with one of its models alone."""

import re
from collections.abc import Collection
from contextvars import ContextVar
from typing import Final

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from lib.configs import not_found
from sequal.settings import MODEL_NAMES
from sequal.study.address import model_path

__all__ = ["OneModel", "asked_model"]

_PLACE: Final = re.compile(model_path(f"(?P<model>{'|'.join(MODEL_NAMES)})") + "(?P<path>/.*|)", re.DOTALL)
_asked: ContextVar[str | None] = ContextVar("asked_model", default=None)


def asked_model() -> str | None:
    """The model at whose address the request came that is answered now; None for one to the whole server."""
    return _asked.get()


class OneModel:
    """ASGI middleware: a request below the address of a model is one to the server, for that model alone.

    Clients of MONAI Label know no models of a server: they name a task at most. One that is given this address finds
    the tasks, the images and the next samples of one model, and trains it alone.

    Args:
        app: what answers.
        models: that are served.
    """

    def __init__(self, app: ASGIApp, models: Collection[str]) -> None:
        self._app, self._models = app, models

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand a request on, without the address of the model."""
        found = _PLACE.fullmatch(scope["path"]) if scope["type"] == "http" else None
        if found is None:
            await self._app(scope, receive, send)
        elif found["model"] not in self._models:
            error = not_found("model", found["model"], self._models)
            await JSONResponse({"detail": error.detail}, error.status_code)(scope, receive, send)
        else:
            _asked.set(found["model"])  # each request has a context of its own, and so have the threads that answer it
            await self._app({**scope, "path": found["path"] or "/"}, receive, send)
