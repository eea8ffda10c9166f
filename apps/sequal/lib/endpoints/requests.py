"""MONAI Label's endpoints that run something, with every key of a request checked before anything is done with it."""

import json
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from fastapi import BackgroundTasks, Body, Depends, FastAPI, File, Form, Request, UploadFile, params
from fastapi.routing import APIRoute
from monailabel.config import settings as server_settings
from monailabel.endpoints import activelearning, batch_infer, infer, scoring, train
from monailabel.endpoints.user.auth import RBAC, User
from monailabel.interfaces.app import MONAILabelApp
from monailabel.interfaces.tasks.batch_infer import BatchInferImageType
from monailabel.interfaces.utils.app import clear_cache

from lib.access.request_keys import Endpoint, checked, only_known
from lib.configs import not_found, refusal
from lib.errors import ImageError, SequalError, SettingsError
from lib.imaging import image_suffix
from lib.infers import SENT_FILE
from lib.ohif.in_front import put_in_front

__all__ = ["serve_requests"]

_Json = Annotated[dict[str, Any] | None, Body()]
_READER: Final = server_settings.MONAI_LABEL_AUTH_ROLE_USER
_ANNOTATOR: Final = server_settings.MONAI_LABEL_AUTH_ROLE_ANNOTATOR
_ADMIN: Final = server_settings.MONAI_LABEL_AUTH_ROLE_ADMIN
#: MONAI Label's own, for a request without a body.
_BATCH: Final = {"multi_gpu": True, "gpus": "all", "logging": "WARNING", "label_tag": "original", "max_workers": 1}
_NO_SLIDES: Final = (
    "Expected a frame for `/infer/{model}`, got a request for a whole-slide image. This app has no model for one."
)


def serve_requests(server: FastAPI, app: MONAILabelApp) -> None:
    """Answer in place of MONAI Label's endpoints of the same path; called again, the new routes replace the old ones.

    They are no coroutines, so that a request that takes long waits in a thread and not on the event loop.

    Args:
        server: MONAI Label's FastAPI application.
        app: what runs the tasks.
    """
    root = server_settings.MONAI_LABEL_API_STR
    handlers = [*_task_handlers(app), *_inference_handlers(app)]

    def reload() -> dict[str, Any]:
        clear_cache()
        return {}

    shared: dict[str, Any] = {"methods": ["POST"], "response_model": None, "include_in_schema": False}
    routes = [
        APIRoute(root + path, handler, dependencies=[_role(role), *only], **shared)
        for path, handler, role, only in handlers
    ]
    # MONAI Label lets anybody build the app anew, whatever its authentication says.
    routes.append(APIRoute("/reload", reload, dependencies=[_role(_ADMIN)], **shared))
    put_in_front(server, routes)


_Handler = tuple[str, Callable[..., Any], str, list[params.Depends]]


def _task_handlers(app: MONAILabelApp) -> list[_Handler]:
    """Training, scoring, batch inference and the next sample."""

    def train_all(request: _Json = None, run_sync: bool = False) -> Any:  # noqa: ANN401 - JSON
        with _reasons():
            return train.run(_of_tasks("train", request, app._trainers), run_sync)

    def train_one(model: str, request: _Json = None, run_sync: bool = False, enqueue: bool = False) -> Any:  # noqa: ANN401
        with _reasons():
            return train.run_model(model, _of_task("train", request, app._trainers, model), run_sync, enqueue)

    def score_all(request: _Json = None, run_sync: bool = False) -> Any:  # noqa: ANN401
        with _reasons():
            return scoring.run(_of_tasks("scoring", request, app._scoring_methods), run_sync)

    def score_one(method: str, request: _Json = None, run_sync: bool = False) -> Any:  # noqa: ANN401
        with _reasons():
            return scoring.run_method(method, _of_task("scoring", request, app._scoring_methods, method), run_sync)

    def infer_all(
        model: str,
        images: BatchInferImageType = BatchInferImageType.IMAGES_ALL,
        request: _Json = None,
        run_sync: bool = False,
    ) -> Any:  # noqa: ANN401
        with _reasons():
            values = _of_task("batch infer", request, app._infers, model)
            return batch_infer.run(model, images, _BATCH | values, run_sync)

    def next_sample(strategy: str, user: Annotated[User, Depends(RBAC(_READER))], request: _Json = None) -> Any:  # noqa: ANN401
        with _reasons():
            return activelearning.sample(strategy, checked("activelearning", request or {}), user.username)

    return [
        ("/train/", train_all, _ADMIN, [_query("run_sync")]),
        ("/train/{model}", train_one, _ADMIN, [_query("run_sync", "enqueue")]),
        ("/scoring/", score_all, _ANNOTATOR, [_query("run_sync")]),
        ("/scoring/{method}", score_one, _ANNOTATOR, [_query("run_sync")]),
        ("/batch/infer/{model}", infer_all, _ADMIN, [_query("images", "run_sync")]),
        ("/activelearning/{strategy}", next_sample, _READER, [_query()]),
    ]


def _inference_handlers(app: MONAILabelApp) -> list[_Handler]:
    """Inference on one image: one of the study by its id, one of a session, or a file sent along."""

    def infer_one(
        background: BackgroundTasks,
        model: str,
        image: str = "",
        session_id: str = "",
        params: Annotated[str, Form()] = "{}",
        file: Annotated[UploadFile | None, File()] = None,
        label: Annotated[UploadFile | None, File()] = None,
        output: Literal["image", "json", "all", "dicom_seg"] | None = None,
    ) -> Any:  # noqa: ANN401
        with _reasons():
            values = checked("infer", _json_object(params))
            _check_form(label, output, values)
            with _image(app, image, session_id, file) as named:
                result = app.infer({"model": model, **values, **named})
            return infer.send_response(app.datastore(), result, output, background)

    def infer_slide(model: str) -> None:
        raise refusal(ImageError(_NO_SLIDES))

    return [
        ("/infer/{model}", infer_one, _READER, [_query("image", "session_id", "output")]),
        ("/infer/wsi/{model}", infer_slide, _READER, []),
        ("/infer/wsi_v2/{model}", infer_slide, _READER, []),
    ]


def _of_task(
    endpoint: Endpoint, request: Mapping[str, Any] | None, tasks: Mapping[str, Any], name: str
) -> dict[str, Any]:
    """The checked keys of a request for one task.

    Raises:
        SettingsError: a key or a value is wrong.
        HTTPException: 404 when there is no such task.
    """
    if name not in tasks:
        raise not_found("method" if endpoint == "scoring" else "model", name, tasks)
    # Some clients repeat the name that stands in the path.
    named = ("model", "method")
    if any((request or {}).get(key, name) != name for key in named):
        raise SettingsError(f"Expected the name in the request to be that of its path, {name!r}. Leave it out.")
    values = checked(endpoint, {key: value for key, value in (request or {}).items() if key not in named})
    check = getattr(tasks[name], "check", None)
    if check is not None:
        check(values if endpoint != "batch infer" else {**values, "save_label": True})
    return values


def _of_tasks(endpoint: Endpoint, request: Mapping[str, Any] | None, tasks: Mapping[str, Any]) -> dict[str, Any]:
    """As `_of_task`, for all tasks at once: some keys under the name of their task, the others for each of them."""
    values: dict[str, Any] = {}
    for key, value in (request or {}).items():
        if key in tasks and isinstance(value, dict):
            values[key] = _of_task(endpoint, value, tasks, key)
    named = (request or {}).get("model", (request or {}).get("method"))
    shared = {key: value for key, value in (request or {}).items() if key not in values}
    for name in [named] if named is not None else list(tasks):
        values |= _of_task(endpoint, shared, tasks, str(name))
    return values


def _check_form(label: UploadFile | None, output: str | None, values: Mapping[str, Any]) -> None:
    if label is not None:
        raise SettingsError("Expected no `label` with an inference, got one. No model of this app starts from a label.")
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
        # A client sends the path that the file has there; nothing of it is used but a suffix that is known.
        suffix = image_suffix(file.filename) if file.filename else ".nii.gz"
        with tempfile.TemporaryDirectory() as folder:
            kept = Path(folder) / f"sent{suffix}"
            with kept.open("wb") as copy:
                while piece := file.file.read(1 << 20):
                    copy.write(piece)
            yield {SENT_FILE: str(kept)}
    elif image:
        yield {"image": image}
    else:
        raise ImageError("Expected `image` to be an id, or a file sent along, got neither. Ask for the next sample.")


def _json_object(text: str) -> dict[str, Any]:
    try:
        content = json.loads(text or "{}")
    except (ValueError, RecursionError):
        content = None
    if not isinstance(content, dict):
        raise SettingsError('Expected `params` to be a JSON object, got something else. Send {"client_id": "me"}.')
    return content


@contextmanager
def _reasons() -> Iterator[None]:
    """Errors of the app as answers with their words."""
    try:
        yield
    except SequalError as error:
        raise refusal(error) from error


def _role(role: str) -> params.Depends:
    depends: params.Depends = Depends(RBAC(role))
    return depends


def _query(*known: str) -> params.Depends:
    """Refuse a query with other keys than these."""

    def check(request: Request) -> None:
        with _reasons():
            only_known("key of the query", request.query_params, known)

    depends: params.Depends = Depends(check)
    return depends
