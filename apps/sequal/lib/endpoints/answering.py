"""What the endpoints of the app share: who may ask, what a request may hold, how a refusal reaches the client."""

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Annotated, Any, Final

from fastapi import Depends, Request, params
from monailabel.config import settings as server_settings
from monailabel.endpoints.user.auth import RBAC

from lib.configs import refusal
from lib.endpoints.safe_route import SafeRoute
from lib.web.access.request_keys import only_known
from sequal.errors import SequalError, SettingsError

__all__ = ["ADMIN", "ANNOTATOR", "READER", "Endpoint", "JsonBody", "json_object", "reasons"]

READER: Final = server_settings.MONAI_LABEL_AUTH_ROLE_USER
ANNOTATOR: Final = server_settings.MONAI_LABEL_AUTH_ROLE_ANNOTATOR
ADMIN: Final = server_settings.MONAI_LABEL_AUTH_ROLE_ADMIN
_LARGEST_BODY: Final = 1 << 20


@dataclass(frozen=True)
class Endpoint:
    """One of MONAI Label's endpoints, answered by the app.

    Attributes:
        path: as MONAI Label has it.
        answer: no coroutine, so that a request that takes long waits in a thread and not on the event loop.
        role: who may ask, where there is a login.
        query: the keys that its query may have.
        methods: those that are answered here; the others stay MONAI Label's.
        any_query: whether its query may have any key.
        listed: whether it stands on the page of all addresses; one that only refuses does not.
    """

    path: str
    answer: Callable[..., Any]
    role: str
    query: Sequence[str] = ()
    methods: Sequence[str] = ("POST",)
    any_query: bool = False
    listed: bool = True

    def route(self) -> SafeRoute:
        """The route of the endpoint."""
        dependencies = [Depends(RBAC(self.role)), *([] if self.any_query else [_only(self.query)])]
        return SafeRoute(
            self.path,
            self.answer,
            methods=list(self.methods),
            dependencies=dependencies,
            response_model=None,
            include_in_schema=False,
            deprecated=not self.listed,
        )


@contextmanager
def reasons() -> Iterator[None]:
    """Errors of the app as answers with their words."""
    try:
        yield
    except SequalError as error:
        raise refusal(error) from error


def json_object(text: str | bytes, name: str) -> dict[str, Any]:
    """A JSON object; empty for an empty text.

    Raises:
        SettingsError: it is anything else; the message calls it `name`.
    """
    try:
        content = json.loads(text or "{}")
    except (ValueError, RecursionError):
        content = None
    if not isinstance(content, dict):
        raise SettingsError(f'Expected {name} to be a JSON object, got something else. Send {{"client_id": "me"}}.')
    return content


async def _json_body(request: Request) -> dict[str, Any]:
    """The body of a request, which says that it is JSON; empty for none."""
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > _LARGEST_BODY:
            raise refusal(SettingsError(f"Expected a body of at most {_LARGEST_BODY} bytes, got more. Shorten it."))
    with reasons():
        if body and not request.headers.get("content-type", "").lower().startswith("application/json"):
            raise SettingsError("Expected `Content-Type` to be application/json, got another. Send the body as JSON.")
        content = json_object(body, "the body") if body.strip() != b"null" else {}
    return content


JsonBody = Annotated[dict[str, Any], Depends(_json_body)]


def _only(known: Sequence[str]) -> params.Depends:
    """Refuse a query with other keys than these."""

    def check(request: Request) -> None:
        with reasons():
            only_known("key of the query", request.query_params, known)

    depends: params.Depends = Depends(check)
    return depends
