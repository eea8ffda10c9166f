"""One route of several studies: the one that a request is for answers it."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Annotated, Any
from urllib.parse import parse_qs

import anyio.to_thread
from fastapi import Depends, Query, params
from fastapi.routing import APIRoute
from starlette.types import ASGIApp, Receive, Scope, Send

from lib.configs import not_found
from lib.web.access import asked_model, check_asked
from lib.web.ohif.in_front import place_of

__all__ = ["names_a_model", "of_models"]


def of_models(routes: Mapping[str, Sequence[APIRoute]], model_of: Callable[[str], str | None]) -> list[APIRoute]:
    """Routes that answer for the studies of several models.

    Of routes with one path and one method, that of the model answers which the query names under `model`, or to whose
    address it came; else that of the model whose image it names under `image`; else the first.

    Args:
        routes: of each model's study.
        model_of: the model of an image, None for an unknown one.
    """
    places: dict[object, dict[str, APIRoute]] = {}
    for model, own in routes.items():
        for route in own:
            places.setdefault(place_of(route), {})[model] = route
    joined = []
    for by_model in places.values():
        route = next(iter(by_model.values()))
        if len(by_model) > 1:
            apps = {model: one.app for model, one in by_model.items()}
            route.app = partial(_answer, apps, model_of)
        joined.append(route)
    return joined


def names_a_model(models: Sequence[str]) -> params.Depends:
    """Let a route take `model` in its query: the name of one that is served."""

    def check(model: Annotated[str | None, Query(description="Of which model; else that of the image")] = None) -> None:
        if model is not None and model not in models:
            raise not_found("model", model[:80], models)
        check_asked(model)

    depends: params.Depends = Depends(check)
    return depends


async def _answer(
    apps: Mapping[str, ASGIApp], model_of: Callable[[str], str | None], scope: Scope, receive: Receive, send: Send
) -> None:
    query: dict[str, list[Any]] = parse_qs(scope["query_string"].decode("latin-1"))
    named = query.get("model", [asked_model()])[-1]
    image = query.get("image", [None])[-1]
    # In a thread: a PACS may be slow to say what it has.
    model = named if named is not None or image is None else await anyio.to_thread.run_sync(model_of, image)
    await apps.get(str(model), next(iter(apps.values())))(scope, receive, send)
