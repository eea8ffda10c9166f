"""The route that the app adds to the server for OHIF."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from fastapi import FastAPI
from fastapi.responses import PlainTextResponse
from fastapi.routing import APIRoute

from lib.web.ohif.app_config import STUDY_LIST, app_config
from lib.web.ohif.in_front import put_in_front

__all__ = ["APP_CONFIG_PATH", "serve_app_config"]

APP_CONFIG_PATH: Final = "/ohif/app-config.js"


def serve_app_config(server: FastAPI, ohif: Path, scripts: Sequence[Path] = (STUDY_LIST,), prefix: str = "") -> None:
    """Answer with OHIF's configuration in place of the server.

    Called again (MONAI Label builds the app anew on `/reload`), the new route replaces the old one.

    Args:
        server: MONAI Label's FastAPI application.
        ohif: folder of the viewer's files.
        scripts: what is added to the configuration.
        prefix: of the addresses that OHIF asks at the server.
    """

    def configuration() -> PlainTextResponse:
        # Read at every call: the file is small, and a page is loaded once per image.
        configured = app_config(ohif / "app-config.js", scripts, prefix)
        return PlainTextResponse(configured, media_type="text/javascript", headers={"Cache-Control": "no-cache"})

    # Before the server's own, whose `/ohif/{path}` would answer first.
    put_in_front(server, [APIRoute(APP_CONFIG_PATH, configuration, methods=["GET"], include_in_schema=False)])
