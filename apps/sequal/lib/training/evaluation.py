"""Dice of the teacher on validation images, against the expert's own labels."""

from collections.abc import Sequence

import numpy as np
import torch

from lib.errors import LabelError
from lib.imaging.working_frames import WorkingFrames
from lib.inference import predict_probability
from lib.items import Item
from lib.labels import IGNORE, INTIMA_MEDIA
from lib.networks import DualNetwork
from lib.training.labels_in_use import LabelsInUse

__all__ = ["label_dice", "validation_dice"]


def validation_dice(
    pair: DualNetwork, items: Sequence[Item], frames: WorkingFrames, labels: LabelsInUse, device: torch.device
) -> float | None:
    """Mean over images of the Dice of teacher and expert on annotated pixels; None without a usable image.

    Args:
        pair: the networks; the teacher is judged, since its mask is what annotators see.
        items: frozen validation images.
        frames: source of the images.
        labels: source of the expert's labels (never the refined ones).
        device: where the networks are.
    """
    values = [label_dice(pair, item, frames, labels, device) for item in items]
    usable = [value for value in values if value is not None]
    return float(np.mean(usable)) if usable else None


def label_dice(
    pair: DualNetwork, item: Item, frames: WorkingFrames, labels: LabelsInUse, device: torch.device
) -> float | None:
    """Dice of the teacher with one expert's label on annotated pixels; None where image or label cannot be used."""
    frame = frames.get(item)
    if frame is None:
        return None
    try:
        expert = labels.expert(item)
    except LabelError as error:
        labels.unusable[item.id] = str(error)
        return None
    mask = predict_probability(pair.teacher, frame, device) > 0.5
    annotated, layer = expert != IGNORE, expert == INTIMA_MEDIA
    overlap = np.count_nonzero(mask & layer)
    total = np.count_nonzero(mask & annotated) + np.count_nonzero(layer)
    return 2.0 * overlap / total if total else 1.0
