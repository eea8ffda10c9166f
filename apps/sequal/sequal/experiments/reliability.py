"""Whether frames of a stated confidence have that Dice on average."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from sequal.experiments.results import Round

__all__ = ["Reliability", "calibration_error", "reliability"]

#: Bounds of the stated confidence; most masks lie above 0.7.
_BOUNDS: Final = (0.0, 0.5, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95, 1.0)


@dataclass(frozen=True)
class Reliability:
    """The frames of one range of confidence.

    Attributes:
        labels: labelled images of the rounds that they come from.
        low: of the range.
        high: of the range; 1 belongs to the last one.
        frames: test frames in it, those of every seed counted.
        stated: their mean confidence.
        dice: their mean Dice; a mask where no wall is has 0.
    """

    labels: int
    low: float
    high: float
    frames: int
    stated: float
    dice: float


def reliability(rounds: Iterable[Round]) -> list[Reliability]:
    """Compare stated confidence and Dice by number of labels and range, over the test frames that got a mask.

    Args:
        rounds: of any seeds and strategies. A round that noted no confidence says nothing.

    Returns:
        Ranges that hold a frame, in order.
    """
    by_labels: dict[int, list[tuple[float, float]]] = {}
    for entry in rounds:
        for image in entry["test"]["images"]:
            if image.get("confidence") is not None:
                by_labels.setdefault(len(entry["labelled"]), []).append((image["confidence"], _dice(image)))
    found = []
    for labels, pairs in sorted(by_labels.items()):
        stated, dice = np.array(pairs).T
        place = np.clip(np.digitize(stated, _BOUNDS) - 1, 0, len(_BOUNDS) - 2)
        for index in np.unique(place):
            inside = place == index
            means = float(stated[inside].mean()), float(dice[inside].mean())
            found.append(Reliability(labels, _BOUNDS[index], _BOUNDS[index + 1], int(inside.sum()), *means))
    return found


def calibration_error(found: Sequence[Reliability]) -> float | None:
    """Mean distance of stated confidence and Dice over ranges, weighted by frames (Guo et al., ICML 2017, eq. 3).

    >>> calibration_error([Reliability(5, 0.8, 0.9, 3, 0.85, 0.80), Reliability(5, 0.9, 1.0, 1, 0.95, 0.90)])
    0.05
    """
    frames = sum(one.frames for one in found)
    return round(sum(one.frames * abs(one.stated - one.dice) for one in found) / frames, 6) if frames else None


def _dice(image: dict[str, Any]) -> float:
    return float(image["dice"]) if image["layer"] else 0.0
