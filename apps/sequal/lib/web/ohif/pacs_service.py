"""The PACS as viewers ask it through the server, with an end to every wait."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import quote

import requests
import urllib3
from fastapi import HTTPException, Response, status

from lib.web.ohif.pacs_query import pacs_query

__all__ = ["PacsRequest", "PacsService"]

#: What a viewer says about its request. Nothing else is handed on: `Authorization` is for the server, not for the PACS.
_ASKED: Final = (
    "accept",
    "accept-encoding",
    "content-encoding",
    "content-type",
    "if-modified-since",
    "if-none-match",
    "range",
)
#: What the PACS says about its reply. The rest is about its own connection (RFC 9110, 7.6.1) or the server's to say.
_ANSWERED: Final = (
    "accept-ranges",
    "cache-control",
    "content-disposition",
    "content-encoding",
    "content-range",
    "content-type",
    "etag",
    "expires",
    "last-modified",
    "retry-after",
    "vary",
    "warning",
)
_CHUNK: Final = 1 << 16
#: Characters of a path that stand for themselves (RFC 3986, 3.3).
_OF_A_PATH: Final = "/:@!$&'()*+,;=~"
_CURE: Final = "Start the PACS or check the address in `--studies`; then ask again."


@dataclass(frozen=True)
class PacsRequest:
    """What a viewer asks.

    Attributes:
        method: `GET` or `POST`.
        path: what follows `/proxy/dicom/`, percent-decoded: `qido/`, `wado/`, `stow/` and a path, or a path alone.
        query: as it came, without its question mark.
        headers: all of them, names in lower case.
        body: empty where there is none.
    """

    method: str
    path: str
    query: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


@dataclass(frozen=True)
class PacsService:
    """A DICOMweb service.

    Attributes:
        url: its root.
        user: user name of basic authentication; used only with a password.
        password: its password.
        qido_prefix: where searches lie below the root, if apart.
        wado_prefix: where objects, and their metadata, lie below the root, if apart.
        stow_prefix: where objects are sent to below the root, if apart.
        connect_s: longest wait for a connection.
        read_s: longest wait for the reply to begin, and to go on.
        whole_s: longest wait for the end of a reply that does go on.
    """

    url: str
    user: str = ""
    password: str = field(default="", repr=False)
    qido_prefix: str | None = None
    wado_prefix: str | None = None
    stow_prefix: str | None = None
    connect_s: float = 5.0
    read_s: float = 30.0
    whole_s: float = 300.0

    def address(self, path: str, query: str = "") -> str:
        """Where a request goes.

        Raises:
            HTTPException: 400 for a path that leads out of the service.

        >>> PacsService("http://pacs/dicom-web/", wado_prefix="rs").address("wado/studies/1.2", "limit=1")
        'http://pacs/dicom-web/rs/studies/1.2?limit=1'
        >>> PacsService("http://pacs", wado_prefix="rs").address("qido/studies/1.2/metadata")
        'http://pacs/rs/studies/1.2/metadata'
        """
        if {".", ".."} & set(path.split("/")):
            raise HTTPException(
                status.HTTP_400_BAD_REQUEST,
                f"Expected a path below the DICOMweb service, got {path!r}. Leave out `.` and `..`.",
            )
        prefixes = {"qido": self.qido_prefix, "wado": self.wado_prefix, "stow": self.stow_prefix}
        operation, slash, rest = path.partition("/")
        prefix = None
        if slash and operation in prefixes:
            # Some versions of OHIF ask for metadata as if it were a search.
            metadata = operation == "qido" and rest.endswith("metadata")
            prefix, path = prefixes["wado" if metadata else operation], rest
        below = "/".join(part for part in (prefix, quote(path, safe=_OF_A_PATH)) if part)
        asked = pacs_query(query)
        return f"{self.url.rstrip('/')}/{below}" + (f"?{asked}" if asked else "")

    def ask(self, request: PacsRequest) -> Response:
        """Hand a request on, and wait for the whole reply.

        The content stays encoded as the PACS sends it, so `Accept-Encoding` is the viewer's own.

        Returns:
            The reply of the PACS, whatever its status.

        Raises:
            HTTPException: 400 for a path that leads out of the service, 502 when the PACS refuses the connection or
                breaks off, 504 when it does not answer in time.
        """
        headers = {"accept-encoding": "identity"} | {
            name: request.headers[name] for name in _ASKED if name in request.headers
        }
        address = self.address(request.path, request.query)
        end = time.monotonic() + self.whole_s
        try:
            with requests.request(
                request.method,
                address,
                headers=headers,
                data=request.body,
                auth=(self.user, self.password) if self.user and self.password else None,
                timeout=(self.connect_s, self.read_s),
                stream=True,
            ) as reply:
                content = self._content(reply.raw, end)
        except (requests.Timeout, urllib3.exceptions.TimeoutError, TimeoutError) as error:
            limit = self.connect_s if isinstance(error, requests.ConnectTimeout) else self.read_s
            raise self.silent(f"within {limit:g} s, got silence") from error
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
            raise HTTPException(
                status.HTTP_502_BAD_GATEWAY,
                f"Expected the PACS at {self.url} to answer, got {type(error).__name__}. {_CURE}",
            ) from error
        told = {name: reply.headers[name] for name in _ANSWERED if name in reply.headers}
        return Response(content, reply.status_code, told)

    def silent(self, what: str) -> HTTPException:
        """The answer 504.

        Args:
            what: until when an answer was expected, and what came.
        """
        return HTTPException(
            status.HTTP_504_GATEWAY_TIMEOUT, f"Expected the PACS at {self.url} to answer {what}. {_CURE}"
        )

    def _content(self, raw: Any, end: float) -> bytes:  # noqa: ANN401 - urllib3's response, as requests hands it out
        """All of a reply; each piece as soon as it is here, so that one which trickles ends as well."""
        pieces = []
        while piece := raw.read1(_CHUNK, decode_content=False):
            pieces.append(piece)
            if time.monotonic() > end:
                raise self.silent(f"as a whole within {self.whole_s:g} s, got a part of the answer")
        return b"".join(pieces)
