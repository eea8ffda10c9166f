"""The endpoint that sends a stored label: the file, or for a viewer the slices that it shows."""

import os
import tempfile
from pathlib import Path

from fastapi import BackgroundTasks, Request, Response
from fastapi.responses import FileResponse
from monailabel.endpoints import datastore
from monailabel.interfaces.app import MONAILabelApp

from lib.configs import not_found
from lib.endpoints.answering import READER, Endpoint, reasons
from lib.web.dicomweb import as_viewed, is_viewed
from sequal.files.imaging import read_frame, read_label
from sequal.files.imaging.claims import large_images_take_turns
from sequal.files.imaging.writing import write_on_frame

__all__ = ["stored_label_endpoints"]

_SUFFIX = ".nii.gz"


def stored_label_endpoints(app: MONAILabelApp) -> list[Endpoint]:
    """A label by its id and tag.

    Args:
        app: what has the datastore.
    """

    def send(request: Request, background: BackgroundTasks, label: str, tag: str) -> Response:
        if not is_viewed(request):
            response: Response = datastore.download_label(label, tag)
            return response
        with reasons():
            file = _viewed(app, label, tag)
        background.add_task(os.unlink, file)
        return FileResponse(file, media_type="application/gzip", filename=f"{label}{_SUFFIX}")

    return [Endpoint("/datastore/label", send, READER, ("label", "tag"), methods=("GET",))]


def _viewed(app: MONAILabelApp, image: str, tag: str) -> Path:
    """A temporary file with the slices that the label's image has in a viewer.

    Raises:
        HTTPException: 404 when the image has no label of this tag.
        SequalError: the image or the label cannot be read.
    """
    store = app.datastore()
    label, path = store.get_label_uri(image, tag), Path(store.get_image_uri(image))
    if not label or not os.path.isfile(label):
        raise not_found("label", image)
    with large_images_take_turns(path):
        frame = read_frame(path)
        values = read_label(label, frame.grid, layout=frame.layout)
    with tempfile.NamedTemporaryFile(suffix=_SUFFIX, delete=False) as file:
        written = Path(file.name)
    try:
        write_on_frame(written, values, as_viewed(frame))
    except BaseException:
        written.unlink(missing_ok=True)
        raise
    return written
