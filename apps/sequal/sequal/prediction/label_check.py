"""An expert's new label as the judge of the mask that the model in service has for the image."""

import math
from collections.abc import Iterable
from typing import Any

import torch
from numpy.typing import NDArray

from sequal.anatomy.measurement import label_dice
from sequal.anatomy.models import model_of
from sequal.errors import LabelError
from sequal.files.imaging import Frame, read_frame
from sequal.prediction.loading import LoadedPair
from sequal.prediction.prediction import Prediction, predict_frame
from sequal.prediction.volume_prediction import VolumePrediction, predict_volume
from sequal.settings import Settings
from sequal.study.items import Item
from sequal.study.state import LabelCheck, RoundRecord

__all__ = ["check_label", "learnt_from"]


def learnt_from(rounds: Iterable[RoundRecord], number: int | None) -> set[str]:
    """Images that a model has learnt from: their labels judge it no more.

    Args:
        rounds: of the study.
        number: the model's round; None: not known, then every round counts.
    """
    return {image for one in rounds if number is None or one.round <= number for image in one.train_ids}


def check_label(
    item: Item, loaded: LoadedPair, settings: Settings, device: torch.device, predicted: float | None = None
) -> LabelCheck:
    """Compare what the model shows of an image with the expert's label of it.

    Args:
        item: image and label.
        loaded: a model that has not learnt from this label.
        settings: of the study.
        device: where the networks are.
        predicted: the Dice that the scoring of the pool expected of the mask; None: as the prediction says.

    Raises:
        ImageError: the image cannot be read.
        LabelError: the label is missing, or cannot be read.
    """
    if item.label is None:
        raise LabelError(f"Expected {item.id} to have a label, got none. Label it first.")
    model, frame = model_of(settings), read_frame(item.image)
    label = model.label_on(item.label, frame.grid, frame.layout)
    found = _predict(frame, loaded, settings, device, model.spatial_dims)
    mask: NDArray[Any] = found.mask
    if predicted is None or not math.isfinite(predicted):
        predicted = found.predicted_dice
    sizes = [
        {"label": one.label, "unit": one.unit, "predicted": one.first, "drawn": one.second}
        for one in model.compare(mask, label, frame)
    ]
    return LabelCheck(item.id, loaded.digest, predicted, label_dice(mask, label), sizes)


def _predict(
    frame: Frame, loaded: LoadedPair, settings: Settings, device: torch.device, dimensions: int
) -> Prediction | VolumePrediction:
    if dimensions == 2:
        return predict_frame(frame, loaded, settings, device, with_errors=False)
    return predict_volume(frame, loaded, settings, device)
