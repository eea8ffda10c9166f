"""Acquisition scores of many images, from one pass of both networks over each."""

from collections.abc import Callable, Sequence

import torch
from torch import nn

from lib.acquisition import score_all
from lib.imaging.working_frames import WorkingFrames
from lib.inference.pair import predict_pair
from lib.items import Item
from lib.settings import Settings

__all__ = ["score_items"]


def score_items(
    items: Sequence[Item],
    reference: nn.Module,
    other: nn.Module,
    frames: WorkingFrames,
    settings: Settings,
    device: torch.device,
    on_scored: Callable[[str, dict[str, float]], None],
) -> dict[str, dict[str, float]]:
    """Every pointwise acquisition score of every readable image.

    Args:
        items: the images, one after the other; a clip's score is the mean over its frames.
        reference: gives the pseudo-label, and the entropy, margin and confidence.
        other: what PLD compares with it.
        frames: source of the images; unreadable ones are left out and remembered there.
        settings: `pld_form` is used.
        device: where the networks are.
        on_scored: called after each image with its id and scores, for progress and for writing them down.

    Returns:
        `{image id: {acquisition name: score}}`, higher is asked for first.
    """
    result: dict[str, dict[str, float]] = {}
    for item in items:
        frame = frames.get(item)
        if frame is None:
            continue
        prediction = predict_pair(reference, other, frame, device)
        scores = score_all(prediction.log_p_reference, prediction.log_p_other, pld_form=settings.pld_form)
        result[item.id] = {name: float(value.mean()) for name, value in scores.items()}
        on_scored(item.id, result[item.id])
    return result
