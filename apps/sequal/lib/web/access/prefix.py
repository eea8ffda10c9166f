"""MONAI Label's `MONAI_LABEL_API_STR`: what stands before the paths of a server."""

from collections.abc import Iterable
from typing import Final
from urllib.parse import quote

from starlette import status
from starlette.responses import JSONResponse, RedirectResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from sequal.errors import SettingsError
from sequal.settings import MODEL_NAMES
from sequal.study.address import model_path

__all__ = ["Prefix", "behind_prefix", "check_prefix"]

#: OHIF's own files have this address in them, so it opens at no other.
_VIEWER: Final = "/ohif/"


def check_prefix(prefix: str, paths: Iterable[str]) -> None:
    """Refuse a prefix that the server's own paths begin with.

    Args:
        prefix: as MONAI Label takes it, for example `/monai`; empty for none.
        paths: of the server's routes, without it.

    Raises:
        SettingsError: the two cannot be told apart.

    >>> check_prefix("/monai", ["/info/", "/sequal/status"])
    >>> check_prefix("/sequal", ["/info/", "/sequal/status"])
    Traceback (most recent call last):
    sequal.errors.SettingsError: Expected `MONAI_LABEL_API_STR` to be a path with which no other of the server begins, \
got '/sequal', as in '/sequal/status'. Choose another, for example /monai.
    """
    others = (path for path in (*paths, *map(model_path, MODEL_NAMES)) if path != _twice(prefix))
    own = [path for path in others if f"{path}/".startswith(f"{prefix}/")]
    if prefix and own:
        raise SettingsError(
            f"Expected `MONAI_LABEL_API_STR` to be a path with which no other of the server begins, got {prefix!r}, as "
            f"in {own[0]!r}. Choose another, for example /monai."
        )


def behind_prefix(prefix: str) -> list[Route]:
    """The route that answers 404, by any method, where a path has the prefix once more; none without a prefix.

    `Prefix` takes the prefix away once, and `OneModel` the address of a model. MONAI Label's own endpoints lie behind a
    second one, and none of the app's rules holds there.
    """
    told = f"Expected {prefix!r} only in front of a path, got it once more or behind another part. Leave it out there."
    return [Route(_twice(prefix), JSONResponse({"detail": told}, status.HTTP_404_NOT_FOUND))] if prefix else []


def _twice(prefix: str) -> str:
    return f"{prefix}/{{behind:path}}"


class Prefix:
    """ASGI middleware: every path of the server also answers below a prefix, pages and addresses of a model included.

    MONAI Label itself has its endpoints below the prefix alone, and its pages and OHIF without it.

    Args:
        app: what answers.
        prefix: `/monai` for example; empty for none.
    """

    def __init__(self, app: ASGIApp, prefix: str = "") -> None:
        self._app, self._prefix = app, prefix

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand a request on, with the prefix as its `root_path`; the viewer opens at its own address."""
        outer = scope.get("root_path", "")
        root = outer + self._prefix
        path = scope.get("path", "")
        if not self._prefix or not f"{path}/".startswith(f"{root}/"):
            await self._app(scope, receive, send)
        elif path.startswith(root + _VIEWER):
            query = scope["query_string"].decode("latin-1")
            address = quote(outer + path.removeprefix(root)) + (f"?{query}" if query else "")
            await RedirectResponse(address)(scope, receive, send)
        else:
            path = path if path != root else f"{root}/"
            await self._app({**scope, "root_path": root, "path": path}, receive, send)
