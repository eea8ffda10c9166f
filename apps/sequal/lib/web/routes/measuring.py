"""`/sequal/measurement`: the thickness of the last prediction, of the stored label, or of what is being drawn."""

import json
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Final

import numpy as np
from fastapi import File, Form, HTTPException, Request, UploadFile, params, status
from fastapi.routing import APIRoute
from monailabel.interfaces.datastore import Datastore, DefaultLabelTag
from numpy.typing import NDArray

from lib.configs import Study, not_found, refusal
from lib.datastores import WARNINGS, LabelGuard
from lib.endpoints.received import received_label
from lib.endpoints.safe_route import SafeRoute
from lib.web.dicomweb import is_viewed
from lib.web.ohif import LastPredictions
from sequal.anatomy.model import Model
from sequal.errors import SequalError, SettingsError, StorageError
from sequal.files.imaging import Frame, clean_label, read_frame

__all__ = ["MEASUREMENT_PATH", "measurement_routes"]

MEASUREMENT_PATH: Final = "/sequal/measurement"
_OF: Final = ("prediction", "label")


def measurement_routes(
    study: Study,
    datastore: Callable[[], Datastore],
    predictions: LastPredictions,
    dependencies: Sequence[params.Depends] = (),
) -> list[APIRoute]:
    """`GET` tells what is known, `POST` measures a label that comes along; nothing is stored.

    Args:
        study: its state knows what an annotator was shown.
        datastore: gives images and labels.
        predictions: what the infer task said.
        dependencies: who may ask.
    """
    guard = LabelGuard(study.state, study.settings)

    def known(image: str, of: str = _OF[0]) -> dict[str, Any]:
        if of not in _OF:
            raise refusal(SettingsError(f"Expected `of` to be one of {', '.join(_OF)}, got {of!r}. Name one of these."))
        if of == "label":
            return _measured(study.model, image, *_stored(study.model, datastore(), image))
        found = predictions.get(image)
        if found is None:
            raise HTTPException(
                status_code=status.HTTP_404_NOT_FOUND,
                detail=f"Expected `image` to be one that was segmented since the server started, got {image!r}. "
                "Run the auto-segmentation first.",
            )
        return {"image": image, **found}

    def drawn(
        request: Request, image: str, label: Annotated[UploadFile, File()], params: Annotated[str, Form()] = "{}"
    ) -> dict[str, Any]:
        file = _image_file(datastore(), image)
        info = _info(params)
        try:
            with tempfile.TemporaryDirectory() as folder:
                submitted = received_label(label, Path(folder))
                return _measured(
                    study.model, image, *guard.read(image, file, submitted, info, viewed=is_viewed(request))
                )
        except SequalError as error:
            raise refusal(error) from error
        except OSError as error:
            came = f"Expected the temporary folder to take the label, got: {error}. Free some space and ask again."
            raise refusal(StorageError(came)) from error

    shared: dict[str, Any] = {"tags": ["SEQUAL"], "dependencies": list(dependencies)}
    return [
        SafeRoute(
            MEASUREMENT_PATH,
            known,
            methods=["GET"],
            summary="Measurement of the last prediction of an image, or with `of=label` of its stored label",
            **shared,
        ),
        SafeRoute(
            MEASUREMENT_PATH,
            drawn,
            methods=["POST"],
            summary="Measurement of a label that comes along; nothing is stored",
            **shared,
        ),
    ]


def _measured(
    model: Model, image: str, frame: Frame, label: NDArray[np.uint8], dropped: Mapping[int, int] | None = None
) -> dict[str, Any]:
    try:
        measured = model.measure(label, frame)
        warnings = model.warnings(label, frame, dropped)
    except SequalError as error:
        raise refusal(error) from error
    return {"image": image, **measured} | ({WARNINGS: list(warnings)} if warnings else {})


def _stored(model: Model, store: Datastore, image: str) -> tuple[Frame, NDArray[np.uint8]]:
    """An image and its submitted label."""
    file = _image_file(store, image)
    tag = DefaultLabelTag.FINAL
    label = store.get_label_uri(store.get_label_by_image_id(image, tag), tag)
    if not label or not Path(label).is_file():
        raise HTTPException(
            status_code=status.HTTP_404_NOT_FOUND,
            detail=f"Expected `image` to be one that is labelled, got {image!r}. Submit a label first.",
        )
    try:
        frame = read_frame(file)
        return frame, clean_label(model.drawn_on(Path(label), frame), model.classes)[0]
    except SequalError as error:
        raise refusal(error) from error


def _image_file(store: Datastore, image: str) -> Path:
    file = store.get_image_uri(image)
    if not file:
        raise not_found("image", image)
    return Path(file)


def _info(text: str) -> dict[str, Any]:
    """What came beside the label, as `PUT /datastore/label` takes it."""
    try:
        info = json.loads(text or "{}")
    except (ValueError, RecursionError):
        info = None
    if not isinstance(info, dict):
        raise refusal(SettingsError('Expected `params` to be a JSON object, got something else. Send "{}".'))
    return info
