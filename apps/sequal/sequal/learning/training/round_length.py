"""How many optimiser steps a round takes, from what there is to learn."""

from dataclasses import replace
from typing import Final

from sequal.settings import Settings

__all__ = ["with_steps"]

_STEPS_A_LABEL: Final = 20
_FEWEST: Final = 120
_MOST: Final = 600


def with_steps(settings: Settings, labels: int) -> Settings:
    """The settings with the steps of an epoch filled in, where they follow from the number of labels.

    Args:
        settings: of the round; with `iterations_per_epoch` over 0 they are returned as they are.
        labels: labelled images that are learnt from, at least 1.

    >>> [with_steps(Settings(epochs=6), labels).iterations_per_epoch for labels in (2, 10, 200)]
    [20, 34, 100]
    """
    if settings.iterations_per_epoch:
        return settings
    steps = min(max(_STEPS_A_LABEL * labels, _FEWEST), _MOST)
    return replace(settings, iterations_per_epoch=-(-steps // settings.epochs))
