"""MONAI Label's own login, with tokens that are accepted."""

import logging
from functools import reduce
from typing import Annotated, Any, Final

import jwt
import requests
from fastapi import Depends, FastAPI, HTTPException, status
from monailabel.config import settings as server_settings
from monailabel.endpoints.user import auth

__all__ = ["accept_tokens"]

logger = logging.getLogger(__name__)

#: What Keycloak signs with. A token may not choose: one that is signed with the public key as a password would pass.
_ALGORITHMS: Final = ("RS256", "RS384", "RS512")


def accept_tokens(server: FastAPI) -> None:
    """Check tokens in place of MONAI Label, where its authentication is on.

    MONAI Label decodes them without naming an algorithm, which PyJWT refuses since 2.0: every token got a 401.

    Args:
        server: MONAI Label's FastAPI application.
    """
    if server_settings.MONAI_LABEL_AUTH_ENABLE:
        server.dependency_overrides[auth.get_current_user] = _current_user


def _current_user(token: Annotated[str, Depends(auth.oauth2_scheme)]) -> auth.User:
    realm = server_settings.MONAI_LABEL_AUTH_REALM_URI
    try:
        key = auth.get_public_key(realm)
    except (requests.RequestException, LookupError, ValueError) as error:
        raise HTTPException(
            status.HTTP_503_SERVICE_UNAVAILABLE,
            f"Expected {realm} to give its public key, got {type(error).__name__}. "
            "Start the login service, or correct MONAI_LABEL_AUTH_REALM_URI.",
        ) from error
    try:
        told = jwt.decode(token, key, algorithms=list(_ALGORITHMS), options={"verify_aud": False, "require": ["exp"]})
        return _user(told)
    except (jwt.InvalidTokenError, LookupError, ValueError, AttributeError, TypeError) as error:
        logger.warning("A token was refused: %s", type(error).__name__)
        raise HTTPException(
            status.HTTP_401_UNAUTHORIZED,
            "Expected a token of the login service that is still valid, got another. Log in again.",
            {"WWW-Authenticate": "Bearer"},
        ) from error


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
