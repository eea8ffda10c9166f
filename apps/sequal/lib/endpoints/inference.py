"""The endpoint that segments one image: one of the study by its id, one of a session, or a file sent along."""

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Literal

from fastapi import BackgroundTasks, File, Form, Request, UploadFile
from monailabel.endpoints import infer
from monailabel.interfaces.app import MONAILabelApp

from lib.configs import not_found, refusal
from lib.endpoints.answering import READER, Endpoint, json_object, reasons
from lib.endpoints.received import received
from lib.infers import OWNERS, SENT_FILE, VIEWED
from lib.web.access import check_asked
from lib.web.access.request_keys import checked
from lib.web.dicomweb import is_viewed
from sequal.errors import ImageError, SettingsError

__all__ = ["inference_endpoints"]


def inference_endpoints(app: MONAILabelApp) -> list[Endpoint]:
    """Inference on one image; that on whole-slide images is refused.

    Args:
        app: what runs the models.
    """

    def infer_one(
        background: BackgroundTasks,
        request: Request,
        model: str,
        image: str = "",
        session_id: str = "",
        params: Annotated[str, Form()] = "{}",
        file: Annotated[UploadFile | None, File()] = None,
        label: Annotated[UploadFile | None, File()] = None,
        output: Literal["image", "json", "all", "dicom_seg"] | None = None,
    ) -> Any:  # noqa: ANN401 - a response, or JSON
        with reasons():
            check_asked(OWNERS.get(model))
            values = checked("infer", json_object(params, "`params`"))
            _check_form(label, output, values)
            with _image(app, image, session_id, file) as named:
                seen = {VIEWED: True} if is_viewed(request) else {}
                result = app.infer({"model": model, **values, **named, **seen})
            return infer.send_response(app.datastore(), result, output, background)

    def infer_slide(model: str) -> None:
        raise refusal(
            ImageError(
                f"Expected a frame for `/infer/{model}`, got a request for a whole-slide image. This app has no model "
                "for one."
            )
        )

    return [
        Endpoint("/infer/{model}", infer_one, READER, ("image", "session_id", "output")),
        Endpoint("/infer/wsi/{model}", infer_slide, READER, ("image", "session_id", "output"), listed=False),
        Endpoint("/infer/wsi_v2/{model}", infer_slide, READER, ("image", "session_id", "output"), listed=False),
    ]


def _check_form(label: UploadFile | None, output: str | None, values: Mapping[str, Any]) -> None:
    if label is not None:
        raise SettingsError(
            "Expected no `label` with an inference, got one. No model of this app starts from a label: leave it out."
        )
    if output == "dicom_seg":
        raise SettingsError(
            "Expected `output` to be image, json or all, got 'dicom_seg'. A label that is submitted reaches the PACS "
            "as a DICOM segmentation."
        )
    if not values.get("result_write_to_file", True) and (output == "image" or values.get("save_label")):
        raise SettingsError(
            "Expected a result that is sent or stored to be written, got `result_write_to_file` false. Leave it out."
        )


@contextmanager
def _image(app: MONAILabelApp, image: str, session_id: str, file: UploadFile | None) -> Iterator[dict[str, Any]]:
    """The image of a request: its id, or the file that was sent, which is gone at the end.

    Raises:
        HTTPException: 404 for a session that there is not.
        ImageError: none was named, or sessions are off.
    """
    if session_id:
        sessions = app.sessions()
        if sessions is None:
            raise ImageError(
                "Expected an image of the study, or a file sent along, got `session_id` while sessions are off. "
                "Start the server with `--conf sessions true`."
            )
        session = sessions.get_session(session_id)
        if session is None:
            raise not_found("session_id", session_id[:100])
        yield {SENT_FILE: session.image}
    elif file is not None:
        with tempfile.TemporaryDirectory() as folder:
            yield {SENT_FILE: str(received(file, Path(folder), "sent"))}
    elif image:
        yield {"image": image}
    else:
        raise ImageError("Expected `image` to be an id, or a file sent along, got neither. Ask for the next sample.")
