"""`/sequal/annotate`: the page on which a mask is looked at, corrected and saved."""

from collections.abc import Sequence
from typing import Any, Final
from urllib.parse import urlencode

from fastapi import params
from fastapi.responses import FileResponse, HTMLResponse, RedirectResponse, Response
from fastapi.routing import APIRoute

from lib.configs import not_found
from lib.web.annotator import page_files

__all__ = ["PAGE_PATH", "page_routes"]

PAGE_PATH: Final = "/sequal/annotate"
#: How the page names its model.
_OF_MODEL: Final = 'data-model="carotid"'
#: Scripts and styles are the page's own; pictures are made by the page itself as well.
_POLICY: Final = "default-src 'self'; img-src 'self' blob: data:; style-src 'self'; frame-ancestors 'self'"


def page_routes(model: str, dependencies: Sequence[params.Depends] = ()) -> list[APIRoute]:
    """The page at `/sequal/annotate/` and its files below it.

    Args:
        model: name of the model that the page is of.
        dependencies: who may open it.
    """

    def without_slash(image: str = "", study: str = "") -> RedirectResponse:
        # Relative addresses of the page need the slash; what was asked for goes along, below the same address.
        query = urlencode({key: value for key, value in (("image", image), ("study", study)) if value})
        return RedirectResponse(f"annotate/{'?' if query else ''}{query}")

    def file(name: str = "index.html") -> Response:
        found = page_files().get(name or "index.html")
        if found is None:
            raise not_found("file", name[:100])
        path, kind = found
        headers = {"Cache-Control": "no-cache", "Content-Security-Policy": _POLICY}
        if path.name == "index.html":
            text = path.read_text(encoding="utf-8")
            return HTMLResponse(text.replace(_OF_MODEL, f'data-model="{model}"'), headers=headers)
        return FileResponse(path, media_type=kind, headers=headers)

    shared: dict[str, Any] = {"methods": ["GET"], "include_in_schema": False, "dependencies": list(dependencies)}
    return [
        APIRoute(PAGE_PATH, without_slash, **shared),
        APIRoute(f"{PAGE_PATH}/", file, **shared),
        APIRoute(f"{PAGE_PATH}/{{name}}", file, **shared),
    ]
