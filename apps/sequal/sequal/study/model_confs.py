"""The settings of each model that a server runs, from its `--conf` pairs."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from sequal.anatomy.models import MODELS
from sequal.errors import SettingsError
from sequal.files.imaging.claims import SETTING as LARGEST_IMAGE
from sequal.settings import MODEL_NAMES, Settings

__all__ = ["confs_by_model"]

#: Of the process, whatever it serves.
_OF_SERVER: Final = frozenset({"models", "allowed_hosts", "allowed_origins", "sessions", LARGEST_IMAGE})


def confs_by_model(conf: Mapping[str, str]) -> dict[str, dict[str, str]]:
    """What each served model takes of the pairs, in the order of `models`.

    `KEY` holds for every model, `MODEL.KEY` for one and before `KEY`. Of several models, `labels` is for those that
    take their labels from it, and `state` names a folder that has one for each of them.

    Raises:
        SettingsError: `models` names one that is not there or one twice, or a key is for a model that is not served,
            or is that of the server and given to one model. Every other rule is `Settings`' own.

    >>> confs_by_model({"models": "carotid,volume", "labels": "liver", "epochs": "3", "volume.epochs": "9"})
    {'carotid': {'models': 'carotid', 'epochs': '3'}, 'volume': {'models': 'volume', 'labels': 'liver', 'epochs': '9'}}
    """
    models = _models(str(conf.get("models", Settings.models)))
    shared = {key: value for key, value in conf.items() if key != "models" and _model_of(key) is None}
    confs = {model: {"models": model, **shared} for model in models}
    if len(models) > 1:
        for model, own in confs.items():
            if not MODELS[model].named_by_settings:
                own.pop("labels", None)
            if own.get("state"):
                own["state"] = str(Path(own["state"]) / model)
    for name, value in conf.items():
        only = _model_of(name)
        if only is not None:
            confs[_served(only, name, models)][_own_key(name)] = value
    return confs


def _models(named: str) -> list[str]:
    models = [name.strip() for name in named.split(",")]
    if len(models) > 1 and (len(set(models)) < len(models) or not set(models) <= set(MODEL_NAMES)):
        known = " and ".join(MODEL_NAMES)
        raise SettingsError(
            f"Expected `models` to be one of {known}, or several, each once, with commas between them, got {named!r}. "
            "Change `models` and try again."
        )
    return models


def _model_of(key: str) -> str | None:
    """The model that a key is for; None for one that is for all."""
    model, dot, _ = key.partition(".")
    return model if dot and model in MODEL_NAMES else None


def _served(model: str, key: str, models: list[str]) -> str:
    if model in models:
        return model
    raise SettingsError(
        f"Expected `{key}` to be for a model that is served ({', '.join(models)}), got one for {model}. Serve it with "
        f"`--conf models {','.join([*models, model])}`, or leave the setting out."
    )


def _own_key(name: str) -> str:
    key = name.partition(".")[2]
    if key in _OF_SERVER:
        raise SettingsError(
            f"Expected `{key}` to be set for the whole server, got it for one model (`{name}`). Use `--conf {key} "
            "VALUE`."
        )
    return key
