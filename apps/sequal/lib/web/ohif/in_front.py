"""Routes of ours before those of MONAI Label."""

from collections.abc import Sequence

from fastapi import FastAPI
from starlette.routing import BaseRoute

__all__ = ["place_of", "put_in_front"]


def put_in_front(server: FastAPI, routes: Sequence[BaseRoute]) -> None:
    """Let routes answer before the server's own; those of the same path and methods, from the last time, go."""
    ours = {place_of(route) for route in routes}
    others = [route for route in server.router.routes if place_of(route) not in ours]
    server.router.routes[:] = [*routes, *others]


def place_of(route: BaseRoute) -> tuple[str, frozenset[str]]:
    """Path and methods of a route."""
    return getattr(route, "path", ""), frozenset(getattr(route, "methods", None) or ())
