"""MONAI Label's endpoints as far as this app answers them in its own way."""

from lib.endpoints.login import accept_tokens
from lib.endpoints.serving import serve_requests
from lib.endpoints.sessions import SafeSessions

__all__ = ["SafeSessions", "accept_tokens", "serve_requests"]
