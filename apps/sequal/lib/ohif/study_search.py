"""Searches of OHIF's study list, handed to the PACS with what is searched for."""

from typing import Final
from urllib.parse import parse_qsl, quote, urlencode

from starlette.routing import BaseRoute, Match
from starlette.types import ASGIApp, Receive, Scope, Send

__all__ = ["SearchRoute"]

#: Where OHIF's configuration sends searches (QIDO-RS).
_SEARCHES: Final = "/proxy/dicom/qido/"
#: MONAI Label's proxy knows this request by the end of its path.
_METADATA: Final = "/metadata"
#: Attributes that an answer shall have (DICOM PS3.18, 8.3.4).
_FIELDS: Final = "includefield"


class SearchRoute(BaseRoute):
    """MONAI Label's way to the PACS for searches, which by itself drops the query.

    Without it every filter of the study list finds everything, a large PACS lists all that it has at once, and studies
    have no description. The query joins the path, which the proxy hands on as it is; who may ask is decided there.

    Args:
        server: MONAI Label's router, in front of whose routes this one stands.
    """

    def __init__(self, server: ASGIApp) -> None:
        self._server = server

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Searches that have a query which is not yet in their path."""
        wanted = (
            scope["type"] == "http"
            and scope["method"] == "GET"
            and _SEARCHES in scope["path"]
            and "?" not in scope["path"]
            and not scope["path"].endswith(_METADATA)
            and pacs_query(scope["query_string"].decode("latin-1"))
        )
        return (Match.FULL if wanted else Match.NONE), {}

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the server answer as it would, with the query at the end of the path."""
        query = pacs_query(scope["query_string"].decode("latin-1"))
        await self._server({**scope, "path": f"{scope['path']}?{query}"}, receive, send)


def pacs_query(query: str) -> str:
    """A query as every PACS takes it: attributes one by one, since Orthanc finds no comma that is written as `%2C`.

    >>> pacs_query("limit=101&PatientName=*p02*&includefield=00081030%2C00080060&StudyDate=")
    'limit=101&PatientName=*p02*&includefield=00081030&includefield=00080060'
    """
    pairs = [
        (name, part)
        for name, value in parse_qsl(query)
        for part in (value.split(",") if name.lower() == _FIELDS else [value])
    ]
    return urlencode(pairs, safe="*,", quote_via=quote)
