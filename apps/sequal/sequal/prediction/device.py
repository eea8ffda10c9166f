"""Where the networks run."""

from typing import Literal

import torch

from sequal.errors import SettingsError

__all__ = ["choose_device"]


def choose_device(device: Literal["auto", "cpu", "cuda"]) -> torch.device:
    """The torch device for the setting `device`.

    Raises:
        SettingsError: CUDA is asked for and there is none.
    """
    if device == "cuda" and not torch.cuda.is_available():
        raise SettingsError(
            "Expected `device` to be available, got 'cuda' on a machine without CUDA. Use --conf device auto."
        )
    cuda = device == "cuda" or (device == "auto" and torch.cuda.is_available())
    return torch.device("cuda" if cuda else "cpu")
