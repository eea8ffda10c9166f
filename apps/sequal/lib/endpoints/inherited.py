"""MONAI Label's other endpoints, answered in threads: its handlers wait on the event loop, and everybody with them."""

import inspect
from collections.abc import Callable
from typing import Any, Final

from fastapi import HTTPException, status
from fastapi.routing import APIRoute
from monailabel.config import settings as server_settings
from monailabel.endpoints import batch_infer, datastore, info, login, logs, model, ohif, proxy, scoring, session, train

from lib.endpoints.answering import READER, Endpoint
from lib.endpoints.safe_route import SafeRoute

__all__ = ["inherited_routes", "pacs_endpoints"]

_MODULES: Final = (info, model, train, scoring, batch_infer, datastore, logs, ohif, session, proxy)


def inherited_routes() -> list[APIRoute]:
    """A route for each of MONAI Label's endpoints, as it has them, whose handler runs in a thread.

    None has `MONAI_LABEL_API_STR` before its path: `Prefix` takes it from every request. MONAI Label's own routes keep
    it, and `behind_prefix` closes them.
    """
    modules = [*_MODULES, login] if server_settings.MONAI_LABEL_AUTH_ENABLE else _MODULES
    return [
        SafeRoute(
            route.path,
            route.endpoint if module is proxy else _in_thread(route.endpoint),  # it waits for the body
            methods=sorted(route.methods or ()),
            dependencies=route.dependencies,
            response_model=None,
            include_in_schema=False,
        )
        for module in modules
        for route in module.router.routes
        if isinstance(route, APIRoute)
    ]


def pacs_endpoints() -> list[Endpoint]:
    """What viewers ask of a PACS, in a study that has none."""

    def refuse(path: str) -> None:
        raise HTTPException(
            status.HTTP_404_NOT_FOUND,
            f"Expected a study in a PACS, got a request for {path[:100]!r} to a study that is a folder. Start the "
            "server with the address of a DICOMweb service as `--studies`.",
        )

    return [Endpoint("/proxy/dicom/{path:path}", refuse, READER, methods=("GET", "POST"), any_query=True, listed=False)]


def _in_thread(handler: Callable[..., Any]) -> Callable[..., Any]:
    """A handler that FastAPI runs in a thread, because it is no coroutine."""
    if not inspect.iscoroutinefunction(handler):
        return handler

    def run(**arguments: Any) -> Any:  # noqa: ANN401 - whatever the handler returns
        coroutine = handler(**arguments)
        try:
            coroutine.send(None)
        except StopIteration as end:
            return end.value
        coroutine.close()
        raise RuntimeError(f"{handler.__name__} waits for something, which a thread cannot")

    # The parameters, which FastAPI reads; not `__wrapped__`, by which it would find the coroutine.
    run.__signature__ = inspect.signature(handler)  # type: ignore[attr-defined]
    run.__name__, run.__doc__ = handler.__name__, handler.__doc__
    return run
