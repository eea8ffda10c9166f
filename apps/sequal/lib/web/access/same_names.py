"""Ids of requests as the study writes them: macOS writes letters and their accents apart, others together."""

from collections.abc import Callable
from typing import Final
from urllib.parse import parse_qsl, urlencode

import anyio.to_thread
from starlette.types import ASGIApp, Receive, Scope, Send

__all__ = ["SameNames"]

#: Query keys that hold the id of an image or of its label.
_IDS: Final = frozenset({"image", "label", "id"})


class SameNames:
    """ASGI middleware that puts the study's own id into a request that names it in another form of Unicode.

    Args:
        app: what answers the requests.
        known: from a name to the id that looks the same; an unknown name stays as it is. It is called in a thread.
    """

    def __init__(self, app: ASGIApp, known: Callable[[str], str]) -> None:
        self._app, self._known = app, known

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand a request on."""
        if scope["type"] == "http" and (query := scope["query_string"]):
            pairs = parse_qsl(query.decode("latin-1"), keep_blank_values=True, errors="surrogateescape")
            # Few names have more than one form, and every request passes here.
            if any(key in _IDS and not value.isascii() for key, value in pairs):
                told = await anyio.to_thread.run_sync(self._told, pairs)
                if told != pairs:
                    scope = {**scope, "query_string": urlencode(told, errors="surrogateescape").encode()}
        await self._app(scope, receive, send)

    def _told(self, pairs: list[tuple[str, str]]) -> list[tuple[str, str]]:
        return [(key, self._known(value) if key in _IDS and not value.isascii() else value) for key, value in pairs]
