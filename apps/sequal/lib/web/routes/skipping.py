"""`/sequal/skip`: an image is not usable, and nobody is asked for it until that is taken back."""

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Annotated, Any, Final

from fastapi import Depends, HTTPException, Request, params, status
from fastapi.routing import APIRoute
from monailabel.interfaces.datastore import Datastore

from lib.configs import Study, not_found, refusal
from lib.endpoints.safe_route import SafeRoute
from sequal.errors import SequalError, SettingsError

__all__ = ["SKIP_PATH", "skip_routes", "told"]

SKIP_PATH: Final = "/sequal/skip"
_LARGEST_BODY: Final = 64 * 1024
_LONGEST: Final = {"client_id": 256, "reason": 2000}


def skip_routes(
    study: Study, datastore: Callable[[], Datastore], dependencies: Sequence[params.Depends] = ()
) -> list[APIRoute]:
    """`POST` with JSON `{"client_id", "reason"}` skips an image, `DELETE` takes it back.

    Args:
        study: its ledger keeps the skips.
        datastore: gives the images of the study.
        dependencies: who may skip.
    """

    def known(image: str) -> None:
        if image not in datastore().list_images():
            raise not_found("image", image)

    def skip(image: str, by: Annotated[dict[str, str], Depends(told)]) -> dict[str, Any]:
        known(image)
        try:
            record = study.state.ledger.skip(image, by["client_id"], by["reason"])
            study.state.ledger.release(image)
        except SequalError as error:
            raise refusal(error) from error
        return {"skipped": True, **asdict(record)}

    def take_back(image: str) -> dict[str, Any]:
        known(image)
        try:
            was_skipped = study.state.ledger.take_back(image)
        except SequalError as error:
            raise refusal(error) from error
        if not was_skipped:
            raise HTTPException(
                status_code=status.HTTP_404_NOT_FOUND,
                detail=f"Expected `image` to be one that was skipped, got {image!r}. There is nothing to take back.",
            )
        return {"skipped": False, "image": image}

    shared: dict[str, Any] = {"tags": ["SEQUAL"], "dependencies": list(dependencies)}
    return [
        SafeRoute(SKIP_PATH, skip, methods=["POST"], summary="Ask nobody for an image, which is not usable", **shared),
        SafeRoute(SKIP_PATH, take_back, methods=["DELETE"], summary="Ask for an image again", **shared),
    ]


async def told(request: Request) -> dict[str, str]:
    """Client and reason of a request; both may be left out, and so may the whole body."""
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > _LARGEST_BODY:
            raise refusal(
                SettingsError(f"Expected the body to have at most {_LARGEST_BODY} bytes, got more. Shorten it.")
            )
    try:
        content = json.loads(body or b"{}")
    except (ValueError, RecursionError) as error:
        raise refusal(
            SettingsError('Expected the body to be JSON, got something else. Send {"reason": "…"}.')
        ) from error
    if not isinstance(content, dict):
        raise refusal(
            SettingsError(
                f'Expected the body to be a JSON object, got {type(content).__name__}. Send {{"reason": "…"}}.'
            )
        )
    return {key: _text(key, content.get(key), longest) for key, longest in _LONGEST.items()}


def _text(key: str, value: object, longest: int) -> str:
    if value is None:
        return ""
    if not isinstance(value, str) or len(value) > longest or not value.isprintable():
        came = f"one of {len(value)} characters" if isinstance(value, str) else type(value).__name__
        raise refusal(
            SettingsError(
                f"Expected `{key}` to be a printable text of at most {longest} characters, got {came}. Shorten it."
            )
        )
    return value.strip()
