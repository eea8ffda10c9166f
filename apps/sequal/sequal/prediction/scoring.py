"""Acquisition scores of many images, from one pass of the networks over the data."""

import math
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import replace
from itertools import islice
from typing import Final

import torch
from torch import Tensor

from sequal.acquisition import BALD, SQA, score_all
from sequal.anatomy.models import model_of
from sequal.distributed import spread
from sequal.files.imaging import Frame
from sequal.prediction.loading import LoadedPair
from sequal.prediction.mc_dropout import bald_of_frames
from sequal.prediction.passes import FRAMES_AT_ONCE, Looked
from sequal.prediction.prediction import judge_mask
from sequal.preparation.working_frame import WorkingFrame
from sequal.preparation.working_frames import WorkingFrames
from sequal.settings import Settings
from sequal.study.items import Item

__all__ = ["PREDICTED_DICE", "groups_of_one_grid", "score_items"]

#: Name under which the ledger keeps the Dice to be expected of a mask beside the scores.
PREDICTED_DICE: Final = "predicted_dice"

Scores = dict[str, dict[str, float]]
#: Confidence and Dice that annotators are told of the mask of one frame.
_Told = tuple[float | None, float | None]


def score_items(
    items: Sequence[Item],
    loaded: LoadedPair,
    frames: WorkingFrames,
    settings: Settings,
    device: torch.device,
    on_scored: Callable[[str, dict[str, float]], None],
    *,
    acquisitions: Collection[str] = (),
) -> Scores:
    """Every pointwise acquisition score of every readable image.

    Consecutive images whose working grids are equal go through the networks together. Other processes, where there are
    any, score a part of the images each.

    Args:
        items: the images; a clip's score is the mean over its frames.
        loaded: the networks; what is shown gives entropy, margin and confidence, and PLD compares its two.
        frames: source of the images; unreadable ones are left out and remembered there.
        settings: `pld_form` and `working_spacing_mm` are used, and `seed` for BALD.
        device: where the networks are.
        on_scored: called after each image with its id and scores, for progress and for writing them down.
        acquisitions: extra scores: `bald`, eight passes more of what is shown, NaN for a network without dropout;
            `sqa`, NaN for a model without an error branch. Other names change nothing here.

    Returns:
        `{image id: {acquisition name: score}}`, higher is asked for first; and `predicted_dice`, the Dice to be
        expected of the mask, 0..1: as the probabilities say, calibrated by the labels, and of an empty mask, or where
        the model says so (`Model.branch_tells`), as the error branch says; NaN for an empty mask without one
        (`dice_to_expect` has the reason). It is the `predicted_dice` of `predict_image`.
    """
    result: Scores = {}
    for image, found in spread(_scored, items, loaded, frames, settings, device, frozenset(acquisitions)):
        if isinstance(found, str):
            frames.unreadable[image] = found
        else:
            result[image] = found
            on_scored(image, found)
    return result


def _scored(
    items: Sequence[Item],
    loaded: LoadedPair,
    frames: WorkingFrames,
    settings: Settings,
    device: torch.device,
    acquisitions: frozenset[str],
) -> Iterator[tuple[str, dict[str, float] | str]]:
    """Scores by image, and last for each unreadable image the reason."""
    by_branch = loaded.branched is not None and model_of(settings).branch_tells
    for group in groups_of_one_grid(items, frames):
        grid, pixels = group[0][1].grid, torch.cat([frame.pixels for _, frame in group])
        masks = iter(()) if by_branch else _one_by_one(group, frames)
        parts: list[dict[str, Tensor]] = []
        told: list[_Told] = []
        # A long clip is scored part by part, so that its probabilities are never all in memory at once.
        for part in torch.split(pixels, FRAMES_AT_ONCE):
            looked = loaded.look(part, grid, device, with_errors=by_branch or SQA in acquisitions)
            parts.append(score_all(loaded.seen(looked, settings)))
            for place, mask in enumerate(islice(masks, len(part))):
                told.append(_told(mask, _of_frame(looked, place), loaded, settings, device))
        by_name = {name: torch.cat([part[name] for part in parts]) for name in parts[0]}
        if BALD in acquisitions:
            by_name[BALD] = bald_of_frames(loaded.shown, pixels, grid, device, settings.seed)
        start = 0
        for item, frame in group:
            own = slice(start, start + frame.frames)
            scores = {name: float(values[own].mean()) for name, values in by_name.items()}
            scores[PREDICTED_DICE] = 1.0 - scores[SQA] if by_branch else _lowest(told[own])
            if SQA not in acquisitions:
                del scores[SQA]
            yield item.id, scores
            start = own.stop
    for item in items:
        if item.id in frames.unreadable:
            yield item.id, frames.unreadable[item.id]


def _one_by_one(
    group: Sequence[tuple[Item, WorkingFrame]], frames: WorkingFrames
) -> Iterator[tuple[Frame, WorkingFrame] | None]:
    """Each frame of the images, and a volume as a whole; None where the file is gone since it was first read."""
    for item, working in group:
        image = frames.image(item)
        if image is None:
            yield from [None] * working.frames
            continue
        for place in range(working.frames):
            own = slice(place, place + 1)
            still = image if working.frames == 1 else replace(image, pixels=image.pixels[:, :, own])
            yield still, replace(working, pixels=working.pixels[own])


def _of_frame(looked: Looked, place: int) -> Looked:
    """What was said of one of the frames."""
    own = slice(place, place + 1)
    wrong = None if looked.wrong is None else looked.wrong[own]
    return Looked({network: log_p[own] for network, log_p in looked.log_p.items()}, wrong)


def _told(
    mask: tuple[Frame, WorkingFrame] | None,
    looked: Looked,
    loaded: LoadedPair,
    settings: Settings,
    device: torch.device,
) -> _Told:
    """Confidence and Dice that annotators are told of the mask of one frame."""
    if mask is None:
        return None, None
    _, confidence, told, _ = judge_mask(*mask, looked, loaded, model_of(settings), device, with_errors=False)
    return confidence, told


def _lowest(told: Sequence[_Told]) -> float:
    """The lowest of an image's frames, as `Prediction` has it: of those in which something was found, if there are."""
    sure = [confidence for confidence, _ in told if confidence is not None]
    return min(sure or [dice for _, dice in told if dice is not None], default=math.nan)


def groups_of_one_grid(items: Sequence[Item], frames: WorkingFrames) -> Iterator[list[tuple[Item, WorkingFrame]]]:
    """Readable neighbours of one working grid, as many as go through the networks together; each volume by itself."""
    group: list[tuple[Item, WorkingFrame]] = []
    for item in items:
        frame = frames.get(item)
        if frame is None:
            continue
        held = sum(other.frames for _, other in group)
        at_once = FRAMES_AT_ONCE if frame.grid.window is None else 1  # where a mask fits into memory, a score does
        if group and (frame.grid.working != group[0][1].grid.working or held + frame.frames > at_once):
            yield group
            group = []
        group.append((item, frame))
    if group:
        yield group
