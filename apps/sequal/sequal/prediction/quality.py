"""How good a mask is expected to be, and where it is expected to be wrong, on the image's own grid (S3)."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from sequal.learning.quality.expected import error_anywhere, predicted_dice
from sequal.prediction.loading import LoadedPair
from sequal.prediction.passes import Looked
from sequal.preparation.working_frame import Grid

__all__ = ["Quality", "dice_to_expect", "mask_quality"]


@dataclass(frozen=True)
class Quality:
    """What an error branch says of a mask.

    Attributes:
        predicted_dice: the Dice that follows from the map, 0..1; of an empty mask, the chance that there is nothing.
        error: probability that what is shown at a pixel is wrong, float32 in 0..1, the array of the image.
    """

    predicted_dice: float | None
    error: NDArray[np.float32]


def dice_to_expect(confidence: float | None, quality: Quality | None, *, branch_tells: bool = False) -> float | None:
    """The Dice to be expected of a mask, 0..1, which annotators are told.

    That is the calibrated confidence where something was found: on real frames it is nearer to the Dice with the
    expert's label than what follows from the branch's map (`benchmarks/quality`), and the labels of a study correct it.
    Of an empty mask only the branch says something, the chance that there is nothing. In volumes, whose networks learn
    from random weights, the branch is the nearer one for every mask.

    Args:
        confidence: of the mask; None where nothing was found.
        quality: what the error branch says; None without one.
        branch_tells: see `Model`.

    Returns:
        None for an empty mask of a model without an error branch.
    """
    if quality is not None and (branch_tells or confidence is None):
        return quality.predicted_dice
    return confidence


def mask_quality(
    looked: Looked, loaded: LoadedPair, grid: Grid, raw: NDArray[np.uint8], mask: NDArray[np.uint8]
) -> Quality | None:
    """Of the mask of an image.

    Args:
        looked: what the networks said of it.
        loaded: the networks.
        grid: the working grid.
        raw: uint8, the array of the image, the mask before mistakes were taken away.
        mask: uint8, the array of the image, as it is shown.

    Returns:
        None where the checkpoint has no error branch.
    """
    if looked.wrong is None:
        return None
    if len(grid.native) == mask.ndim:  # a volume, which may be too large for a map of each class on its own grid
        classes = looked.log_p[loaded.shown].max(dim=1).indices
        error = grid.to_native(error_anywhere(classes, looked.wrong))[0]
        if mask is not raw:
            np.subtract(1, error, out=error, where=mask != raw)
        return Quality(float(predicted_dice(classes, looked.wrong)[0]), error)
    wrong = np.stack([np.moveaxis(grid.to_native(of_class), 0, 2) for of_class in looked.wrong.unbind(dim=1)])
    for number, of_class in enumerate(wrong, start=1):
        np.subtract(1, of_class, out=of_class, where=(mask == number) != (raw == number))
    shown, by_class = torch.from_numpy(mask)[None], torch.from_numpy(wrong)[None]
    return Quality(float(predicted_dice(shown, by_class)[0]), error_anywhere(shown, by_class)[0].numpy())
