"""MONAI Label's endpoints as far as this app answers them in its own way."""

from lib.endpoints.requests import serve_requests
from lib.endpoints.sessions import SafeSessions

__all__ = ["SafeSessions", "serve_requests"]
