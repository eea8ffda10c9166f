"""Endpoints by which MONAI Label lets clients change the server itself: closed, or for administrators."""

import os
import re
from typing import Final

from fastapi import HTTPException, Response, status
from monailabel.config import settings as server_settings
from monailabel.endpoints import logs
from monailabel.interfaces.utils.app import clear_cache

from lib.endpoints.answering import ADMIN, Endpoint

__all__ = ["administration_endpoints"]

#: A user's password in an address: MONAI Label logs the settings that it was started with.
_PASSWORD: Final = re.compile(rb"(?<=://)([^:/@\s]*):[^@/\s]+(?=@)")
_MOST_LINES: Final = 100_000


def _reload() -> dict[str, str]:
    clear_cache()
    return {}


def administration_endpoints() -> list[Endpoint]:
    """The log without passwords, and the app built anew.

    Models come from trainings of the study, so none is uploaded or deleted.
    """

    def send_log(lines: int = 300, html: bool = True, text: bool = False, refresh: int = 0) -> Response:
        file = os.path.join(server_settings.MONAI_LABEL_APP_DIR, "logs", "app.log")
        # MONAI Label sends the whole file for no line at all.
        reply: Response = logs.get_logs(file, lines if lines > 0 else _MOST_LINES, html, text, refresh)
        content = _PASSWORD.sub(rb"\1:***", bytes(reply.body))
        return Response(content, reply.status_code, media_type=reply.media_type)

    def refuse(model: str) -> None:
        raise HTTPException(
            status.HTTP_405_METHOD_NOT_ALLOWED,
            f"Expected the weights of {model[:100]!r} to come from a training of this study, got a request to change "
            "their file. Train, or put an earlier round into service with `PUT /sequal/models/N`.",
        )

    # One by one, as MONAI Label has them: a route stands for its path and its methods.
    closed = [
        Endpoint("/model/{model}", refuse, ADMIN, methods=(method,), listed=False) for method in ("PUT", "DELETE")
    ]
    return [
        *closed,
        Endpoint("/logs/", send_log, ADMIN, ("lines", "html", "text", "refresh"), methods=("GET",)),
        # MONAI Label lets anybody build the app anew, whatever its authentication says.
        Endpoint("/reload", _reload, ADMIN),
    ]
