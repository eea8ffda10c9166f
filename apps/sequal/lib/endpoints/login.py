"""MONAI Label's own login, with tokens that are accepted."""

from functools import reduce
from typing import Any, Final

import jwt
import requests
from fastapi import HTTPException, status
from monailabel.config import settings as server_settings
from monailabel.endpoints.user import auth

__all__ = ["accept_tokens"]

#: What Keycloak signs with. A token may not choose: one that is signed with the public key as a password would pass.
_ALGORITHMS: Final = ("RS256", "RS384", "RS512")


def accept_tokens() -> None:
    """Check tokens in place of MONAI Label, where its authentication is on.

    MONAI Label decodes them without naming an algorithm, which PyJWT refuses since 2.0: every token got a 401. Its
    function is replaced in its module, since FastAPI's overrides reach only the routes that FastAPI itself has made.
    """
    if server_settings.MONAI_LABEL_AUTH_ENABLE:
        auth.from_token = _from_token


def _from_token(token: str) -> auth.User:
    """The user that a token names.

    Raises:
        InvalidTokenError: the token is none of the login service, or has expired; the client gets a 401.
        HTTPException: 503 when the login service does not answer.
    """
    realm = server_settings.MONAI_LABEL_AUTH_REALM_URI
    try:
        key = auth.get_public_key(realm)
    except (requests.RequestException, LookupError, ValueError) as error:
        raise HTTPException(
            status.HTTP_503_SERVICE_UNAVAILABLE,
            f"Expected {realm} to give its public key, got {type(error).__name__}. Start the login service, or correct "
            "MONAI_LABEL_AUTH_REALM_URI.",
        ) from error
    told = jwt.decode(token, key, algorithms=list(_ALGORITHMS), options={"verify_aud": False, "require": ["exp"]})
    try:
        return _user(told)
    except (LookupError, ValueError, AttributeError, TypeError) as error:
        raise jwt.InvalidTokenError(f"a part of the token is missing or malformed ({type(error).__name__})") from error


def _user(told: dict[str, Any]) -> auth.User:
    """The user that a token names, by the names that MONAI Label's settings give to its parts."""
    path = server_settings.MONAI_LABEL_AUTH_TOKEN_ROLES.split("#")
    roles = reduce(lambda part, name: part.get(name) or {}, path, told)
    return auth.User(
        username=told[server_settings.MONAI_LABEL_AUTH_TOKEN_USERNAME],
        email=told.get(server_settings.MONAI_LABEL_AUTH_TOKEN_EMAIL),
        name=told.get(server_settings.MONAI_LABEL_AUTH_TOKEN_NAME),
        roles=list(roles),
    )
