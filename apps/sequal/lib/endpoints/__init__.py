"""MONAI Label's endpoints as far as this app answers them in its own way."""

from lib.endpoints.sessions import SafeSessions

__all__ = ["SafeSessions"]
