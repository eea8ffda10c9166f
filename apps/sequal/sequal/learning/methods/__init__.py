"""The methods, each a file of its own that declares `METHOD`; the file's name is that of the setting."""

import importlib

from sequal.learning.method import Method
from sequal.settings import METHOD_NAMES

__all__ = ["METHODS"]

METHODS: dict[str, Method] = {name: importlib.import_module(f"{__name__}.{name}").METHOD for name in METHOD_NAMES}
