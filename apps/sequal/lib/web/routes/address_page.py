"""`/docs`: every address of the server on one page."""

from collections.abc import Sequence
from typing import Any, Final

from fastapi import FastAPI, params
from fastapi.responses import HTMLResponse
from fastapi.routing import APIRoute

from lib.endpoints.safe_route import SafeRoute
from lib.web.routes.pages import page
from lib.web.routes.start_page import DOCS_PATH, START_PATH

__all__ = ["address_routes"]

_OPENAPI: Final = "/openapi.json"
_OURS: Final = "SEQUAL"


def address_routes(server: FastAPI, dependencies: Sequence[params.Depends] = (), prefix: str = "") -> list[APIRoute]:
    """The page, in place of one whose scripts come from another host.

    Args:
        server: MONAI Label's FastAPI application.
        dependencies: who may see it.
        prefix: of the links.
    """

    def addresses() -> HTMLResponse:
        groups = _groups(server.openapi(), _closed(server, prefix))
        links = {"start": prefix + START_PATH, "openapi": prefix + _OPENAPI}
        return HTMLResponse(page("addresses", groups=groups, **links))

    route = SafeRoute(
        DOCS_PATH,
        addresses,
        methods=["GET"],
        dependencies=list(dependencies),
        include_in_schema=False,
        response_model=None,
    )
    return [route]


def _closed(server: FastAPI, prefix: str) -> set[tuple[str, str]]:
    """Path and method of what only refuses; MONAI Label's own words about it still stand in the schema."""
    closed = [route for route in server.routes if isinstance(route, APIRoute) and route.deprecated]
    return {(prefix + route.path, method.lower()) for route in closed for method in route.methods or ()}


def _groups(schema: dict[str, Any], closed: set[tuple[str, str]]) -> list[tuple[str, list[dict[str, str]]]]:
    """Rows by group, the app's own first."""
    groups: dict[str, list[dict[str, str]]] = {_OURS: []}
    for path, methods in sorted(schema.get("paths", {}).items()):
        for method, told in methods.items():
            if (path, method) in closed:
                continue
            group = (told.get("tags") or ["Others"])[0]
            groups.setdefault(group, []).append(_row(path, method, told))
    return [(title, rows) for title, rows in groups.items() if rows]


def _row(path: str, method: str, told: dict[str, Any]) -> dict[str, str]:
    keys = [known["name"] for known in told.get("parameters", []) if known.get("in") == "query"]
    what = told.get("description") or told.get("summary") or ""
    return {
        "method": method.upper(),
        "path": path,
        "what": what.split("\n\n")[0],
        "query": f"Keys: {', '.join(keys)}" if keys else "",
    }
