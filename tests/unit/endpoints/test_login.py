import base64
import time
from typing import Annotated

import jwt
import pytest
import requests
from cryptography.hazmat.primitives import hashes, hmac, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from fastapi import Depends, FastAPI
from fastapi.routing import APIRoute
from fastapi.testclient import TestClient
from monailabel.config import settings
from monailabel.endpoints.user import auth

from lib.endpoints import accept_tokens

KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
PUBLIC = KEY.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
TOLD = {
    "preferred_username": "anna",
    "email": "anna@example.org",
    "name": "Anna",
    "realm_access": {"roles": ["monailabel-user"]},
}


def token(key=KEY, algorithm="RS256", **changes):
    content = {**TOLD, "exp": int(time.time()) + 60, **changes}
    return jwt.encode({name: value for name, value in content.items() if value is not None}, key, algorithm=algorithm)


@pytest.fixture
def client(monkeypatch):
    monkeypatch.setattr(settings, "MONAI_LABEL_AUTH_ENABLE", True)
    monkeypatch.setattr(auth, "get_public_key", lambda realm: PUBLIC.decode())
    monkeypatch.setattr(auth, "from_token", auth.from_token)
    server = FastAPI()

    @server.get("/user", dependencies=[Depends(auth.RBAC("monailabel-user"))])
    def user(who: Annotated[auth.User, Depends(auth.RBAC("monailabel-user"))]) -> str:
        return who.username

    @server.get("/admin", dependencies=[Depends(auth.RBAC("monailabel-admin"))])
    def admin() -> str:
        return "admin"

    def ours() -> str:
        return "ours"

    # A route that FastAPI did not make itself, as the app's own are.
    server.router.routes.append(APIRoute("/ours", ours, dependencies=[Depends(auth.RBAC("monailabel-user"))]))
    accept_tokens()
    return TestClient(server)


def ask(client, sent, path="/user"):
    """Where authentication is off when MONAI Label is loaded, as in a test, its token is a parameter of the query."""
    return client.get(path, params={"token": sent} if sent else {})


def test_a_token_of_the_login_service_is_accepted_for_its_roles(client):
    assert ask(client, token()).json() == "anna"
    assert ask(client, token(), "/ours").json() == "ours"
    assert ask(client, token(), "/admin").status_code == 403


def test_nobody_gets_in_without_a_token(client):
    assert ask(client, None).status_code == 401
    assert ask(client, None, "/ours").status_code == 401


def forged(header):
    """A token whose signature is made with the public key, as if that were a password."""
    parts = [
        base64.urlsafe_b64encode(part).rstrip(b"=") for part in (header, b'{"preferred_username":"eve","exp":9e9}')
    ]
    signature = hmac.HMAC(PUBLIC, hashes.SHA256())
    signature.update(b".".join(parts))
    return b".".join([*parts, base64.urlsafe_b64encode(signature.finalize()).rstrip(b"=")]).decode()


@pytest.mark.parametrize(
    "sent",
    [
        token(exp=int(time.time()) - 60),
        token(exp=None),
        token(key=rsa.generate_private_key(public_exponent=65537, key_size=2048)),
        token(key=None, algorithm="none"),
        forged(b'{"alg":"HS256","typ":"JWT"}'),
        token(preferred_username=None),
        token(preferred_username=["a"]),
        token(realm_access="monailabel-admin"),
        "nonsense",
    ],
)
def test_any_other_token_is_refused(client, sent):
    assert ask(client, sent).status_code == 401


def test_a_login_service_that_is_gone_is_named(client, monkeypatch):
    def gone(realm):
        raise requests.ConnectionError

    monkeypatch.setattr(auth, "get_public_key", gone)
    assert ask(client, token()).status_code == 503


def test_without_authentication_nothing_changes():
    before = auth.from_token
    accept_tokens()
    assert auth.from_token is before
