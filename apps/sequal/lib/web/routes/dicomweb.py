"""`/sequal/dicom-web`: a study that is a folder, as a PACS would show it."""

from collections.abc import Callable, Sequence
from typing import Any, Final

from fastapi import HTTPException, Request, Response, params, status
from fastapi.routing import APIRoute

from lib.endpoints.safe_route import SafeRoute
from lib.web.dicomweb import FolderService, WebRequest

__all__ = ["DICOMWEB_PATH", "dicomweb_routes"]

DICOMWEB_PATH: Final = "/sequal/dicom-web"
#: Where OHIF asks for a PACS, with what it asks for before the path.
_VIEWERS_PATH: Final = "/proxy/dicom"
_SERVICES: Final = ("qido", "wado")


def dicomweb_routes(service: FolderService | None, dependencies: Sequence[params.Depends] = ()) -> list[APIRoute]:
    """The service under its own name and where OHIF's configuration looks for a PACS; nothing can be stored by it.

    Args:
        service: answers; None for a study that is in a PACS or elsewhere.
        dependencies: who may ask.
    """
    if service is None:
        return [_route(DICOMWEB_PATH, _refuse, ["GET", "POST"], dependencies)]

    def answer(request: Request, path: str) -> Response:
        return _ask(service, request, DICOMWEB_PATH, path)

    def answer_viewer(request: Request, path: str) -> Response:
        first, _, rest = path.partition("/")
        before, below = (f"/{first}", rest) if first in _SERVICES else ("", path)
        return _ask(service, request, f"{_VIEWERS_PATH}{before}", below)

    return [
        _route(DICOMWEB_PATH, answer, ["GET"], dependencies, "The images and labels of the folder by DICOMweb"),
        _route(_VIEWERS_PATH, answer_viewer, ["GET"], dependencies),
        _route(DICOMWEB_PATH, _store_elsewhere, ["POST"], dependencies),
        _route(_VIEWERS_PATH, _store_elsewhere, ["POST"], dependencies),
    ]


def _route(
    path: str,
    handler: Callable[..., Any],
    methods: list[str],
    dependencies: Sequence[params.Depends],
    summary: str = "",
) -> SafeRoute:
    return SafeRoute(
        f"{path}/{{path:path}}",
        handler,
        methods=methods,
        dependencies=list(dependencies),
        response_model=None,
        include_in_schema=bool(summary),
        summary=summary or None,
        tags=["SEQUAL"],
    )


def _ask(service: FolderService, request: Request, prefix: str, path: str) -> Response:
    address = f"{str(request.base_url).rstrip('/')}{prefix}"
    accept = ", ".join(request.headers.getlist("accept"))
    return service.ask(WebRequest(path.strip("/"), request.url.query, accept, address))


def _refuse(path: str) -> None:
    raise HTTPException(
        status.HTTP_404_NOT_FOUND,
        f"Expected a study that is a folder, got a request for {path[:100]!r} to one that is in a PACS or elsewhere. "
        "Ask the PACS itself, or `/proxy/dicom/` of this server.",
    )


def _store_elsewhere(path: str) -> None:
    raise HTTPException(
        status.HTTP_405_METHOD_NOT_ALLOWED,
        f"Expected nothing to be stored by DICOMweb in a study that is a folder, got a request for {path[:100]!r}. "
        "Submit a label with `PUT /datastore/label`.",
    )
