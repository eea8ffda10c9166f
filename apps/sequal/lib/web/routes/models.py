"""`/sequal/models`: every kept model of the study, and which one is in service."""

from collections.abc import Sequence
from typing import Any, Final

from fastapi import HTTPException, params, status
from fastapi.routing import APIRoute

from lib.configs import Study, refusal
from lib.endpoints.safe_route import SafeRoute
from sequal.errors import CheckpointError, SequalError
from sequal.prediction import check_fits
from sequal.study.state import STARTING, Checkpoint, KeptModel, StudyModels

__all__ = ["MODELS_PATH", "model_routes"]

MODELS_PATH: Final = "/sequal/models"


def model_routes(
    study: Study, read: Sequence[params.Depends] = (), change: Sequence[params.Depends] = ()
) -> list[APIRoute]:
    """`GET` lists the models with their figures, `PUT /sequal/models/N` puts one into service.

    Args:
        study: whose models.
        read: who may see them.
        change: who may change the one in service.
    """

    def listed() -> dict[str, Any]:
        try:
            kept = StudyModels(study.state, study.starting_weights).kept()
        except SequalError as error:
            raise refusal(error) from error
        in_service = next((model.round for model in kept if model.in_service), None)
        return {"in_service": in_service, "models": [_figures(model) for model in kept]}

    def fits(checkpoint: Checkpoint, name: str) -> None:
        check_fits(checkpoint, study.settings, name)

    def put_back(number: str) -> dict[str, Any]:
        models = StudyModels(study.state, study.starting_weights)
        try:
            dropped = models.put_back(_whole(number), fits)
        except LookupError as error:
            raise HTTPException(status_code=status.HTTP_404_NOT_FOUND, detail=str(error.args[0])) from error
        except CheckpointError as error:
            raise HTTPException(status_code=status.HTTP_409_CONFLICT, detail=str(error)) from error
        except SequalError as error:
            raise refusal(error) from error
        return {**listed(), "refined_labels_dropped": dropped}

    return [
        SafeRoute(
            MODELS_PATH,
            listed,
            methods=["GET"],
            tags=["SEQUAL"],
            dependencies=list(read),
            summary="Every kept model with its figures, and which one is in service",
        ),
        SafeRoute(
            f"{MODELS_PATH}/{{number}}",
            put_back,
            methods=["PUT"],
            tags=["SEQUAL"],
            dependencies=list(change),
            summary="Put the model of a round into service; 0: the starting weights",
        ),
    ]


def _whole(number: str) -> int:
    if not (number.isascii() and number.isdigit() and len(number) < 10):
        raise LookupError(f"Expected the number of a round, got {number[:100]!r}. Ask for the list of models.")
    return int(number)


def _figures(model: KeptModel) -> dict[str, Any]:
    """A model as JSON."""
    known: dict[str, Any] = {"round": model.round, "in_service": model.in_service, "digest": model.digest}
    if model.record is None:
        return {**known, "status": "starting weights" if model.round == STARTING else "unknown"}
    record = model.record
    return {
        **known,
        "status": record.status,
        "reason": record.reason,
        "started_at": record.started_at,
        "finished_at": record.finished_at,
        "seconds": record.seconds,
        "labels": record.train_ids,
        "figures": record.metrics or {},
    }
