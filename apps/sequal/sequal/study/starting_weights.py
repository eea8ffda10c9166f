"""What a new study starts from: a file in the app's model folder, made by `cli.py pretrain`."""

from pathlib import Path

from sequal.settings import Settings

__all__ = ["starting_weights"]


def starting_weights(app: Path, settings: Settings) -> Path:
    """The file for the model and the method that the settings name; it may be absent, and may be of other networks.

    >>> starting_weights(Path("app"), Settings()).name
    'pretrained_carotid.pt'
    >>> starting_weights(Path("app"), Settings(method="cross")).name
    'pretrained_carotid_cross.pt'
    """
    of_method = "" if settings.method == Settings.method else f"_{settings.method}"
    return app / "model" / f"pretrained_{settings.model}{of_method}.pt"
