"""The endpoint that sends images and labels as one archive."""

import os

from fastapi import BackgroundTasks
from fastapi.responses import FileResponse
from monailabel.interfaces.app import MONAILabelApp

from lib.endpoints.answering import ANNOTATOR, Endpoint

__all__ = ["dataset_endpoints"]


def dataset_endpoints(app: MONAILabelApp) -> list[Endpoint]:
    """The archive, which is gone after it was sent: MONAI Label leaves every one in the temporary folder.

    Args:
        app: what has the datastore.
    """

    def send(background: BackgroundTasks, limit_cases: int | None = None) -> FileResponse:
        archive = app.datastore().get_dataset_archive(limit_cases)
        background.add_task(os.unlink, archive)
        return FileResponse(archive, media_type="application/zip", filename="dataset.zip")

    return [Endpoint("/datastore/dataset", send, ANNOTATOR, ("limit_cases",), methods=("GET",))]
