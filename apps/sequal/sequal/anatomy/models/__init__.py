"""The models, each a file of its own that declares `MODEL`; the file's name is that of the setting."""

import importlib

from sequal.anatomy.model import Model
from sequal.settings import MODEL_NAMES, Settings

__all__ = ["MODELS", "model_of"]

MODELS: dict[str, type[Model]] = {name: importlib.import_module(f"{__name__}.{name}").MODEL for name in MODEL_NAMES}


def model_of(settings: Settings) -> Model:
    """The model of a study."""
    return MODELS[settings.model](settings)
