"""Endpoints that start a training, a scoring or a batch, or ask for the next sample: every key is checked first."""

import json
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Final

from fastapi import Depends, HTTPException, status
from monailabel.endpoints import activelearning, batch_infer, scoring, train
from monailabel.endpoints.user.auth import RBAC, User
from monailabel.interfaces.app import MONAILabelApp
from monailabel.interfaces.tasks.batch_infer import BatchInferImageType

from lib.configs import not_found
from lib.endpoints.answering import ADMIN, ANNOTATOR, READER, Endpoint, JsonBody, reasons
from lib.endpoints.task_queue import stop_tasks, wait_for_task
from lib.infers import OWNERS
from lib.web.access import asked_model, check_asked, request_keys
from sequal.errors import SettingsError

__all__ = ["task_endpoints"]

#: MONAI Label's own, for a request without a body.
_BATCH: Final = {"multi_gpu": True, "gpus": "all", "logging": "WARNING", "label_tag": "original", "max_workers": 1}
#: The key under which some clients repeat the name that stands in the path; a scoring may be of one model.
_NAMES: Final = {"train": "model", "scoring": "method", "batch infer": "model"}
#: What a task process logs before its result.
_RESULT: Final = "- Result: "


def task_endpoints(app: MONAILabelApp, check_alone: Callable[[], None]) -> list[Endpoint]:
    """Training, scoring, batch inference and the next sample.

    Args:
        app: what runs the tasks.
        check_alone: raises HTTPException where nothing may be trained.
    """

    def train_all(sent: JsonBody, run_sync: bool = False) -> Any:  # noqa: ANN401 - JSON, as MONAI Label gives it
        sent = _of_address(sent)
        named = sent.get(_NAMES["train"])
        if named is not None:
            return {named: {"result": train_one(str(named), sent, run_sync, enqueue=True), "detail": None}}
        with reasons():
            values = _of_tasks("train", sent, app._trainers)
            check_alone()
            return _done(train.run(values), run_sync)

    def train_one(model: str, sent: JsonBody, run_sync: bool = False, enqueue: bool = False) -> Any:  # noqa: ANN401
        with reasons():
            check_asked(model)
            values = _of_task("train", sent, app._trainers, model)
            check_alone()
            return _done(train.run_model(model, values, enqueue=enqueue or run_sync), run_sync)

    def score_all(sent: JsonBody, run_sync: bool = False) -> Any:  # noqa: ANN401
        with reasons():
            return _done(scoring.run(_of_tasks("scoring", _of_address(sent), app._scoring_methods)), run_sync)

    def score_one(method: str, sent: JsonBody, run_sync: bool = False) -> Any:  # noqa: ANN401
        with reasons():
            values = _of_task("scoring", _of_address(sent), app._scoring_methods, method)
            return _done(scoring.run_method(method, values), run_sync)

    def infer_all(
        model: str,
        sent: JsonBody,
        images: BatchInferImageType = BatchInferImageType.IMAGES_ALL,
        run_sync: bool = False,
    ) -> Any:  # noqa: ANN401
        with reasons():
            check_asked(OWNERS.get(model))
            values = _of_task("batch infer", sent, app._infers, model)
            return _done(batch_infer.run(model, images, _BATCH | values), run_sync)

    def next_sample(strategy: str, sent: JsonBody, user: Annotated[User, Depends(RBAC(READER))]) -> Any:  # noqa: ANN401
        with reasons():
            values = request_keys.checked("activelearning", _of_address(sent))
            return activelearning.sample(strategy, values, user.username)

    def stop(method: str) -> Callable[[], dict[str, Any] | None]:
        return lambda: stop_tasks(method)

    return [
        Endpoint("/train/", stop("train"), ADMIN, methods=("DELETE",)),
        Endpoint("/scoring/", stop("scoring"), ANNOTATOR, methods=("DELETE",)),
        Endpoint("/batch/infer", stop("batch_infer"), ADMIN, methods=("DELETE",)),
        Endpoint("/train/", train_all, ADMIN, ("run_sync",)),
        Endpoint("/train/{model}", train_one, ADMIN, ("run_sync", "enqueue")),
        Endpoint("/scoring/", score_all, ANNOTATOR, ("run_sync",)),
        Endpoint("/scoring/{method}", score_one, ANNOTATOR, ("run_sync",)),
        Endpoint("/batch/infer/{model}", infer_all, ADMIN, ("images", "run_sync")),
        Endpoint("/activelearning/{strategy}", next_sample, READER),
    ]


def _of_address(sent: Mapping[str, Any]) -> dict[str, Any]:
    """A request with the model to whose address it came, if to one.

    OHIF puts the settings of a training below the name of the model.

    Raises:
        HTTPException: 400 where it names another model.
    """
    model = asked_model()
    if model is None:
        return dict(sent)
    own = sent.get(model)
    if isinstance(own, dict):
        sent = {**{key: value for key, value in sent.items() if key != model}, **own}
    check_asked(sent.get("model"))
    return {**sent, "model": model}


def _of_task(
    endpoint: request_keys.Endpoint, sent: Mapping[str, Any], tasks: Mapping[str, Any], name: str
) -> dict[str, Any]:
    """The checked keys of a request for one task.

    Raises:
        SettingsError: a key or a value is wrong.
        HTTPException: 404 when there is no such task.
    """
    if name not in tasks:
        raise not_found("method" if endpoint == "scoring" else "model", name, tasks)
    named = _NAMES[endpoint]
    if sent.get(named, name) != name:
        raise SettingsError(f"Expected the name in the request to be that of its path, {name!r}. Leave it out.")
    values = request_keys.checked(endpoint, {key: value for key, value in sent.items() if key != named})
    check = getattr(tasks[name], "check", None)
    if check is not None:
        check(values if endpoint != "batch infer" else {**values, "save_label": True})
    return values


def _of_tasks(endpoint: request_keys.Endpoint, sent: Mapping[str, Any], tasks: Mapping[str, Any]) -> dict[str, Any]:
    """As `_of_task`, for all tasks at once: some keys under the name of their task, the others for each of them."""
    nested = {key: value for key, value in sent.items() if key in tasks and isinstance(value, dict)}
    values: dict[str, Any] = {name: _of_task(endpoint, value, tasks, name) for name, value in nested.items()}
    shared = {key: value for key, value in sent.items() if key not in nested}
    named = sent.get(_NAMES[endpoint])
    for name in tasks if named is None else [str(named)]:
        values |= _of_task(endpoint, shared, tasks, name)
    return values


def _done(started: dict[str, Any], run_sync: bool) -> Any:  # noqa: ANN401 - JSON
    """What was started, or with `run_sync` what came of it.

    A training or a scoring runs in a process of its own in either case: in the server it would take the time and the
    memory of everybody else, and could not be stopped.

    Args:
        started: a task, or several under `result` by name.
        run_sync: wait for the end.

    Raises:
        HTTPException: 409 with the last words of a task that did not end well.
    """
    if not run_sync:
        return started
    if "id" not in started:
        return {name: {**entry, "result": _done(entry["result"], run_sync)} for name, entry in started.items()}
    wait_for_task(started)
    words = [str(line) for line in started.get("details", ())]
    if started["status"] != "DONE":
        raise HTTPException(
            status.HTTP_409_CONFLICT,
            f"Expected the task to end well, got {started['status']}: {' '.join(words[-1:])[-500:]} Correct that and "
            "start it again.",
        )
    results = [line.split(_RESULT, 1)[1] for line in words if _RESULT in line]
    return json.loads(results[-1]) if results else started
