"""The version of the app, as `pyproject.toml` has it."""

from typing import Final

__all__ = ["VERSION"]

VERSION: Final = "0.1.0"
