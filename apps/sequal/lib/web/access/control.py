"""Requests from pages and by names that are not the server's own are refused before anything reads them."""

import ipaddress
import re
from collections.abc import Collection
from typing import Final

from starlette import status
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["LOCAL_NAMES", "AccessControl"]

#: Names by which a browser on this computer reaches the server.
LOCAL_NAMES: Final = ("localhost", "127.0.0.1", "[::1]")
_HOST: Final = re.compile(r"(?P<name>[a-z0-9._-]+|\[[0-9a-f:.]+\])(?::(?P<port>[0-9]{1,5}))?", re.IGNORECASE)
_ORIGIN: Final = re.compile(r"(?P<scheme>https?)://(?P<host>[^/@]+)", re.IGNORECASE)
_DEFAULT_PORTS: Final = {"80", "443"}
#: Methods that only read (RFC 9110, 9.2.1).
_READING: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")
_SHOWN: Final = 100

_Refusal = tuple[int, str]


class AccessControl:
    """ASGI middleware in front of every route, those that other programs add included.

    - Every request carries exactly one `Host`, and it is a name of this computer or one that a setting lists. A page
      whose own name was pointed at this computer (DNS rebinding) carries its own.
    - What changes something comes from the server's own pages, from a listed origin, or from a program. A browser says
      `Origin` with every such request, and no page can leave it out or change it. So it needs neither a token nor a
      preflight. The rule is that of Go's `http.CrossOriginProtection`.
    - A page of another origin cannot load anything either, not even as an image: modern browsers say where a request
      comes from (`Sec-Fetch-Site`). A link to the viewer is followed.
    - No page of another origin can put the viewer into a frame.

    Args:
        app: what answers the requests that may pass.
        hosts: further names, lower case, without a port.
        origins: further origins, `https://viewer.example.org`, lower case, without a path.
    """

    def __init__(self, app: ASGIApp, hosts: Collection[str] = (), origins: Collection[str] = ()) -> None:
        self._app = app
        self._hosts = frozenset((*LOCAL_NAMES, *hosts))
        self._origins = frozenset(origins)
        self._frames = " ".join(["frame-ancestors 'self'", *sorted(self._origins)])

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand a request on, or answer it with the reason why not."""
        refusal = None if scope["type"] == "lifespan" else self._refusal(scope)
        if refusal is None:
            await self._app(scope, receive, self._unframed(send))
        elif scope["type"] == "http":
            await JSONResponse({"detail": refusal[1]}, refusal[0])(scope, receive, send)
        else:
            await send({"type": "websocket.close", "code": 1008, "reason": "refused"})

    def _refusal(self, scope: Scope) -> _Refusal | None:
        headers = Headers(scope=scope)
        hosts = headers.getlist("host")
        found = _HOST.fullmatch(hosts[0]) if len(hosts) == 1 else None
        if found is None or not self._is_known(found["name"].lower(), scope):
            return status.HTTP_400_BAD_REQUEST, (
                f"Expected `Host` to be one of {', '.join(sorted(self._hosts))}, got {_shown(hosts)}. Open the server "
                "by one of these names, or start it with `--conf allowed_hosts NAME`."
            )
        path = scope["path"]
        if not path.startswith("/") or _CONTROL.search(path) or {".", ".."} & set(re.split(r"[/\\]", path)):
            return status.HTTP_400_BAD_REQUEST, (
                f"Expected a path from '/' on, printable and without '.' or '..', got {_shown([path])}. Correct it."
            )
        return self._foreign(scope, headers, hosts[0])

    def _foreign(self, scope: Scope, headers: Headers, host: str) -> _Refusal | None:
        """Why the page that a request comes from may not send it."""
        origins = headers.getlist("origin")
        others = [origin for origin in origins if not self._is_ours(origin, host)]
        changes = scope["type"] != "http" or scope["method"] not in _READING
        site = headers.get("sec-fetch-site", "none")
        welcome = site in {"none", "same-origin"} or (bool(origins) and not others)
        followed = (
            headers.get("sec-fetch-mode") == "navigate" and headers.get("sec-fetch-dest", "document") == "document"
        )
        if not (changes and others) and (welcome or (followed and not changes)):
            return None
        return status.HTTP_403_FORBIDDEN, (
            f"Expected a request from the server's own pages, got one from {_shown(others or [site])}. Use the "
            "viewer at the server's own address, or start the server with `--conf allowed_origins ORIGIN`."
        )

    def _is_known(self, name: str, scope: Scope) -> bool:
        return name in self._hosts or name == _name_in_process(scope)

    def _is_ours(self, origin: str, host: str) -> bool:
        """Whether an origin is listed, or that of the server itself under the name that the request was sent to.

        The scheme does not count: behind a proxy that ends TLS, the server itself sees plain HTTP.
        """
        found = _ORIGIN.fullmatch(origin)
        return origin.lower() in self._origins or (found is not None and _bare(found["host"]) == _bare(host))

    def _unframed(self, send: Send) -> Send:
        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).setdefault("content-security-policy", self._frames)
            await send(message)

        return sending


def _bare(host: str) -> str:
    """Host and port as the browser compares them: lower case, without a default port."""
    name, _, port = host.lower().rpartition(":")
    return name if name and port in _DEFAULT_PORTS else host.lower()


def _name_in_process(scope: Scope) -> str | None:
    """The server's name for a caller within its own process, as test clients are; a socket has an address, no name."""
    name = str((scope.get("server") or ("",))[0]).lower()
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return name if name and "/" not in name else None
    return None


def _shown(values: Collection[str]) -> str:
    """What came, short enough for an error."""
    return ", ".join(repr(value[:_SHOWN]) for value in values) or "none"
