"""The routes that the app adds to the server for OHIF."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from fastapi import FastAPI, HTTPException, params, status
from fastapi.responses import PlainTextResponse
from fastapi.routing import APIRoute

from lib.ohif.app_config import app_config
from lib.ohif.in_front import put_in_front
from lib.ohif.last_predictions import LastPredictions

__all__ = ["APP_CONFIG_PATH", "MEASUREMENT_PATH", "serve_bridge"]

APP_CONFIG_PATH: Final = "/ohif/app-config.js"
MEASUREMENT_PATH: Final = "/sequal/measurement"


def serve_bridge(
    server: FastAPI, ohif: Path, predictions: LastPredictions, dependencies: Sequence[params.Depends] = ()
) -> None:
    """Answer in place of the server: OHIF's configuration, and the last measurement of an image.

    Called again (MONAI Label builds the app anew on `/reload`), the new routes replace the old ones.

    Args:
        server: MONAI Label's FastAPI application.
        ohif: folder of the viewer's files.
        predictions: what the infer task said.
        dependencies: who may ask for measurements, as MONAI Label's own endpoints have it.
    """

    def configuration() -> PlainTextResponse:
        # Read at every call: the file is small, and a page is loaded once per image.
        script = app_config(ohif / "app-config.js")
        return PlainTextResponse(script, media_type="text/javascript", headers={"Cache-Control": "no-cache"})

    def measurement(image: str) -> dict[str, Any]:
        found = predictions.get(image)
        if found is None:
            raise HTTPException(
                status_code=status.HTTP_404_NOT_FOUND,
                detail=f"Expected `image` to be one that was segmented since the server started, got {image!r}. "
                "Run the auto-segmentation first.",
            )
        return {"image": image, **found}

    ours = [
        APIRoute(APP_CONFIG_PATH, configuration, methods=["GET"], include_in_schema=False),
        APIRoute(MEASUREMENT_PATH, measurement, methods=["GET"], tags=["SEQUAL"], dependencies=list(dependencies)),
    ]
    # Before the server's own, whose `/ohif/{path}` would answer first.
    put_in_front(server, ours)
