"""`/sequal/MODEL/…`: the server as it would be with one of its models alone."""

import re
from collections.abc import Collection
from contextvars import ContextVar
from typing import Final

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from lib.configs import not_found, refusal
from sequal.errors import SettingsError
from sequal.settings import MODEL_NAMES
from sequal.study.address import model_path

__all__ = ["OneModel", "asked_model", "check_asked"]

_PLACE: Final = re.compile(model_path(f"(?P<model>{'|'.join(MODEL_NAMES)})") + "(?P<path>/.*|)", re.DOTALL)
_asked: ContextVar[str | None] = ContextVar("asked_model", default=None)


def asked_model() -> str | None:
    """The model at whose address the request came that is answered now; None for one to the whole server."""
    return _asked.get()


def check_asked(model: object) -> None:
    """Refuse a request for another model than the one to whose address it came.

    Args:
        model: that the request is for; None where it names none.

    Raises:
        HTTPException: 400, with both.
    """
    asked = asked_model()
    if None not in (asked, model) and model != asked:
        raise refusal(
            SettingsError(
                f"Expected a request for the model of its address, {asked!r}, got one for {str(model)[:80]!r}. Leave "
                "the name out, or send the request to the address of that model."
            )
        )


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
        """Hand a request on, with the address of the model as its `root_path`: a redirect then stays below it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        root = scope.get("root_path", "")
        found = _PLACE.fullmatch(scope["path"].removeprefix(root))
        # Set for each request: the requests of one connection may share a context.
        _asked.set(found and found["model"])
        if found is None:
            await self._app(scope, receive, send)
        elif found["model"] not in self._models:
            error = not_found("model", found["model"], self._models)
            await JSONResponse({"detail": error.detail}, error.status_code)(scope, receive, send)
        else:
            root += model_path(found["model"])
            await self._app({**scope, "root_path": root, "path": root + (found["path"] or "/")}, receive, send)
