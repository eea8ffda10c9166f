"""What an annotator gets for one volume: a mask of several labels, PLD, confidence and volumes."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from sequal.acquisition.scores import pld
from sequal.anatomy.models.volume import Volume, label_volumes_ml
from sequal.files.imaging import Frame
from sequal.prediction.confidence import expected_dice
from sequal.prediction.loading import LoadedPair
from sequal.prediction.quality import Quality, dice_to_expect, volume_quality
from sequal.settings import Settings

__all__ = ["VolumePrediction", "predict_volume"]


@dataclass(frozen=True)
class VolumePrediction:
    """The result for one volume in its own array.

    Attributes:
        mask: uint8 (X, Y, Z): 0 and the numbers of the labels.
        pld: Pseudo Label Divergence, ≥ 0; higher is asked for first.
        confidence: Dice to be expected of all labels together, 0..1, see `Confidence`; None where nothing was found.
        volumes_ml: millilitres by label.
        quality: what the error branch says of the mask; None where the checkpoint has none.
    """

    mask: NDArray[np.uint8]
    pld: float
    confidence: float | None
    volumes_ml: dict[str, float]
    quality: Quality | None = None

    @property
    def predicted_dice(self) -> float | None:
        """The Dice to be expected of the mask, 0..1, which annotators are told; see `dice_to_expect`."""
        return dice_to_expect(self.confidence, self.quality, branch_tells=Volume.branch_tells)


def predict_volume(frame: Frame, loaded: LoadedPair, settings: Settings, device: torch.device) -> VolumePrediction:
    """Segment a volume, in windows where it is larger than the patch of the training.

    Args:
        frame: the volume as read from file, any size, spacing and orientation.
        loaded: the networks.
        settings: of the study.
        device: where the networks are.

    Raises:
        ImageError: it is no volume, or its voxels are not credible.
    """
    model = Volume(settings)
    working = model.prepare(frame)
    looked = loaded.look(working.pixels, working.grid, device)
    divergence = pld.score(loaded.seen(looked, settings))
    native = model.to_native(looked.log_p[loaded.shown], working.grid)
    expected = expected_dice(native.foreground)
    return VolumePrediction(
        native.classes,
        float(divergence.mean()),
        None if expected is None else loaded.confidence.of(expected),
        label_volumes_ml(native.classes, frame.affine, model.labels),
        volume_quality(looked, loaded, working.grid),
    )
