"""An expert's new label as the judge of the mask that the model in service has for the image."""

import math
from collections.abc import Iterable

import torch

from sequal.anatomy.measurement import label_dice
from sequal.anatomy.models import model_of
from sequal.errors import LabelError
from sequal.files.imaging import read_frame
from sequal.prediction.loading import LoadedPair
from sequal.prediction.prediction import predict_image
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
    label = model.label_on(item.label, frame.grid, frame.layout, frame.affine)
    found = predict_image(frame, loaded, settings, device, with_errors=False)
    if predicted is None or not math.isfinite(predicted):
        predicted = found.predicted_dice
    sizes = [
        {"label": one.label, "unit": one.unit, "predicted": one.first, "drawn": one.second}
        for one in model.compare(found.mask, label, frame)
    ]
    return LabelCheck(item.id, loaded.digest, predicted, label_dice(found.mask, label), sizes)
