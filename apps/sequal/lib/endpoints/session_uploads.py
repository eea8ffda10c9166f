"""The endpoint that opens a session with the images that a client sends."""

import re
import tempfile
from pathlib import Path
from typing import Annotated, Any, Final

from fastapi import File, HTTPException, UploadFile, status
from monailabel.interfaces.app import MONAILabelApp

from lib.endpoints.answering import READER, Endpoint, reasons
from lib.endpoints.received import received
from sequal.files.imaging import image_stem

__all__ = ["session_endpoints"]

_OTHER: Final = re.compile(r"[^A-Za-z0-9_-]+")


def session_endpoints(app: MONAILabelApp) -> list[Endpoint]:
    """Opening a session; asking for one and closing it stay MONAI Label's.

    Args:
        app: what keeps the sessions.
    """

    def open_session(
        files: Annotated[list[UploadFile], File()], uncompress: bool = False, expiry: int = 0
    ) -> dict[str, Any]:
        sessions = app.sessions()
        if sessions is None:
            raise HTTPException(
                status.HTTP_406_NOT_ACCEPTABLE,
                "Expected sessions to be on, got a server where they are off. Use an image of the study, or start the "
                "server with `--conf sessions true`.",
            )
        with reasons(), tempfile.TemporaryDirectory() as folder:
            # An archive is known by its contents.
            kept = [
                received(file, Path(folder), _name(file, number), ".archive" if uncompress else None)
                for number, file in enumerate(files, start=1)
            ]
            session_id, info = sessions.add_session(str(kept[0] if len(kept) == 1 else folder), expiry, uncompress)
        return {"session_id": session_id, "session_info": info.to_json()}

    return [Endpoint("/session/", open_session, READER, ("uncompress", "expiry"), methods=("PUT",))]


def _name(file: UploadFile, number: int) -> str:
    """A plain name that tells people which file it was."""
    stem = _OTHER.sub("-", image_stem(file.filename or "")).strip("-")[:50]
    return f"{number}-{stem}" if stem else str(number)
