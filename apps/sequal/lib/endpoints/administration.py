"""Endpoints by which MONAI Label lets clients change the server itself: closed, or for administrators."""

from fastapi import HTTPException, status
from monailabel.interfaces.utils.app import clear_cache

from lib.endpoints.answering import ADMIN, Endpoint

__all__ = ["RELOAD", "administration_endpoints"]


def _reload() -> dict[str, str]:
    clear_cache()
    return {}


#: MONAI Label lets anybody build the app anew, whatever its authentication says. Its path has no root before it.
RELOAD = Endpoint("/reload", _reload, ADMIN)


def administration_endpoints() -> list[Endpoint]:
    """Models come from trainings of the study: none is uploaded or deleted."""

    def refuse(model: str) -> None:
        raise HTTPException(
            status.HTTP_405_METHOD_NOT_ALLOWED,
            f"Expected the weights of {model[:100]!r} to come from a training of this study, got a request to change "
            "their file. Train, or put an earlier round into service with `PUT /sequal/models/N`.",
        )

    # One by one, as MONAI Label has them: a route stands for its path and its methods.
    return [Endpoint("/model/{model}", refuse, ADMIN, methods=(method,)) for method in ("PUT", "DELETE")]
