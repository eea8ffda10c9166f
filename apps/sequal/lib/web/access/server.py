"""Putting the access control in front of MONAI Label's server."""

from collections.abc import Callable, Collection
from typing import Final

from fastapi import FastAPI
from fastapi.middleware.cors import CORSMiddleware
from starlette.middleware import Middleware

from lib.web.access.control import AccessControl
from lib.web.access.one_model import OneModel
from lib.web.access.prefix import Prefix
from lib.web.access.same_names import SameNames

__all__ = ["protect"]

#: Ours of before, and MONAI Label's CORS, which echoes any origin together with credentials.
_REPLACED: Final = frozenset(entry.__name__ for entry in (AccessControl, CORSMiddleware, Prefix, OneModel, SameNames))


def protect(
    server: FastAPI,
    hosts: Collection[str],
    origins: Collection[str],
    known: Callable[[str], str] = str,
    models: Collection[str] = (),
    prefix: str = "",
) -> None:
    """Let only requests through that `AccessControl` lets through; pages of the listed origins may read replies.

    Called again (MONAI Label builds the app anew on `/reload`), it replaces what it did before.

    Args:
        server: MONAI Label's FastAPI application; it may be starting already.
        hosts: as `AccessControl` takes them.
        origins: as `AccessControl` takes them.
        known: as `SameNames` takes it.
        models: as `OneModel` takes them.
        prefix: as `Prefix` takes it.
    """
    ours = [
        Middleware(AccessControl, hosts=hosts, origins=origins),
        Middleware(
            CORSMiddleware,
            allow_origins=list(origins),
            allow_credentials=bool(origins),
            allow_methods=["*"],
            allow_headers=["*"],
        ),
        Middleware(Prefix, prefix=prefix),
        Middleware(OneModel, models=models),
        Middleware(SameNames, known=known),
    ]
    # By name: after `/reload` these are classes of modules that were loaded again.
    others = [entry for entry in server.user_middleware if getattr(entry.cls, "__name__", "") not in _REPLACED]
    server.root_path_in_servers = not prefix  # MONAI Label's schema has the prefix in its paths
    server.user_middleware[:] = [*ours, *others]
    server.middleware_stack = None  # built again for the next request
