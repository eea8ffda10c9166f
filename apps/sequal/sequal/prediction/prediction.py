"""What an annotator gets for one image: mask, PLD, and how good the mask is expected to be."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from sequal.acquisition.scores import pld
from sequal.anatomy.model import Model, NativePrediction
from sequal.anatomy.models import model_of
from sequal.files.imaging import Frame
from sequal.prediction.confidence import expected_dice
from sequal.prediction.loading import LoadedPair
from sequal.prediction.passes import Looked
from sequal.prediction.quality import Quality, dice_to_expect, mask_quality
from sequal.preparation.working_frame import WorkingFrame
from sequal.settings import Settings

__all__ = ["Prediction", "judge_mask", "predict_image"]


@dataclass(frozen=True)
class Prediction:
    """The result for one image on its own grid.

    Attributes:
        shown: what annotators are shown, after the model's clean-up.
        pld: Pseudo Label Divergence, mean over the frames, ≥ 0; higher is asked for first.
        confidence: Dice to be expected, 0..1, see `Confidence`, of all labels together; of a clip the lowest over the
            frames in which something was found. None where nothing was.
        predicted_dice: the Dice to be expected of the mask, 0..1, which annotators are told; see `dice_to_expect`.
        quality: what the error branch says of the mask; None where the checkpoint has none.
    """

    shown: NativePrediction
    pld: float
    confidence: float | None
    predicted_dice: float | None
    quality: Quality | None = None

    @property
    def mask(self) -> NDArray[np.uint8]:
        """The array of the image: 0 and the numbers of the labels."""
        return self.shown.classes

    @property
    def probability(self) -> NDArray[np.float32]:
        """Of any label, 0..1, the array of the image."""
        return self.shown.foreground


def predict_image(
    frame: Frame, loaded: LoadedPair, settings: Settings, device: torch.device, *, with_errors: bool = True
) -> Prediction:
    """Segment an image: every frame, or the volume, in windows where it is larger than the patch of the training.

    Args:
        frame: as read from file, any size, spacing and orientation.
        loaded: the networks.
        settings: of the study.
        device: where the networks are.
        with_errors: whether `quality` is wanted of any mask; else only where nothing but the branch speaks of the mask.

    Raises:
        ImageError: it is no image of the model.
    """
    model = model_of(settings)
    working, with_errors = model.prepare(frame), with_errors or model.branch_tells
    looked = loaded.look(working.pixels, working.grid, device, with_errors=with_errors)
    divergence = pld.score(loaded.seen(looked, settings))
    shown, confidence, told, quality = judge_mask(frame, working, looked, loaded, model, device)
    return Prediction(shown, float(divergence.mean()), confidence, told, quality)


def judge_mask(
    frame: Frame,
    working: WorkingFrame,
    looked: Looked,
    loaded: LoadedPair,
    model: Model,
    device: torch.device,
    *,
    with_errors: bool = True,
) -> tuple[NativePrediction, float | None, float | None, Quality | None]:
    """What annotators are shown of an image, and how good it is expected to be.

    Args:
        frame: as read from file, or some frames of a clip.
        working: the same on the working grid.
        looked: what the networks said of it; where they said nothing of errors, they are asked for those of an empty
            mask.
        loaded: the networks.
        model: what is segmented.
        device: where the networks are.
        with_errors: whether `quality` is wanted of any mask; else only of an empty one.

    Returns:
        `shown`, `confidence`, `predicted_dice` and `quality` of a `Prediction`.
    """
    raw = model.to_native(looked.log_p[loaded.shown], working.grid)
    shown = model.clean(raw, frame, loaded.surroundings)
    empty = not shown.classes.any()
    if looked.wrong is None and loaded.branched is not None and empty:
        looked = loaded.look(working.pixels, working.grid, device)
    sure = [dice for one in _separate(model, shown.foreground) if (dice := expected_dice(one)) is not None]
    confidence = loaded.confidence.of(min(sure)) if sure else None
    quality = mask_quality(looked, loaded, working.grid, raw.classes, shown.classes) if with_errors or empty else None
    return shown, confidence, dice_to_expect(confidence, quality, branch_tells=model.branch_tells), quality


def _separate(model: Model, array: NDArray[np.float32]) -> list[NDArray[np.float32]]:
    """What the networks saw one by one: the frames, or the volume."""
    return [array] if model.spatial_dims == array.ndim else list(np.moveaxis(array, 2, 0))
