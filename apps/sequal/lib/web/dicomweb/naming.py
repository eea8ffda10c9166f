"""Viewers name an image by the UID of its series; everybody else by its id."""

import re
from typing import Final
from urllib.parse import parse_qsl, urlencode

import anyio.to_thread
from fastapi import FastAPI, Request
from starlette.middleware import Middleware
from starlette.types import ASGIApp, Receive, Scope, Send

from lib.web.dicomweb.uids import ServedUids, StudyImages

__all__ = ["NamedBySeries", "is_viewed", "take_series_uids"]

#: Keys of a query that name an image, or a label by its image.
_KEYS: Final = ("image", "label", "id")
_UID: Final = re.compile(r"2\.25\.[0-9]{1,39}")
_VIEWED: Final = "viewed"


class NamedBySeries:
    """ASGI middleware: an image that a query names by its SeriesInstanceUID is named by its id from then on.

    So a viewer works on a folder with the very requests that it works with on a PACS, where a series is an image. What
    it gets and sends has the slices of that series (`as_viewed`), and `is_viewed` tells the endpoints so.

    Args:
        app: what answers.
        study: the images; an id that looks like a UID counts as an id.
        uids: of the images.
    """

    def __init__(self, app: ASGIApp, study: StudyImages, uids: ServedUids) -> None:
        self._app, self._study, self._uids = app, study, uids

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand a request on, under the image's id."""
        if scope["type"] == "http" and b"2.25." in scope["query_string"]:
            scope = await anyio.to_thread.run_sync(self._translated, scope)
        await self._app(scope, receive, send)

    def _translated(self, scope: Scope) -> Scope:
        pairs = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
        named = [(key, self._id(value) if key in _KEYS else value) for key, value in pairs]
        if named == pairs:
            return scope
        state = {**scope.get("state", {}), _VIEWED: True}
        return {**scope, "query_string": urlencode(named).encode("ascii"), "state": state}

    def _id(self, value: str) -> str:
        if not _UID.fullmatch(value) or value in self._study:
            return value
        return self._uids.image_of_series(value) or value


def take_series_uids(server: FastAPI, study: StudyImages, uids: ServedUids) -> None:
    """Let requests name an image by its series; called again, it replaces what it did before.

    Args:
        server: MONAI Label's FastAPI application.
        study: as `NamedBySeries` takes it.
        uids: as `NamedBySeries` takes them.
    """
    # By name: after `/reload` the class is one of a module that was loaded again.
    others = [entry for entry in server.user_middleware if getattr(entry.cls, "__name__", "") != NamedBySeries.__name__]
    server.user_middleware[:] = [*others, Middleware(NamedBySeries, study=study, uids=uids)]
    server.middleware_stack = None  # built again for the next request


def is_viewed(request: Request) -> bool:
    """Whether the image of a request was named by its series, so that it has the viewer's slices."""
    return bool(getattr(request.state, _VIEWED, False))
