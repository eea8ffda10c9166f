"""Acquisition scores of many images, from one pass of the networks over the data."""

import math
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Final

import torch
from torch import Tensor

from sequal.acquisition import BALD, SQA, score_all
from sequal.acquisition.scores.sqa import score as score_sqa
from sequal.anatomy.models import model_of
from sequal.distributed import spread
from sequal.prediction.confidence import expected_dice
from sequal.prediction.loading import LoadedPair
from sequal.prediction.mc_dropout import bald_of_frames
from sequal.prediction.passes import FRAMES_AT_ONCE, Looked
from sequal.preparation.working_frame import Grid, WorkingFrame
from sequal.preparation.working_frames import WorkingFrames
from sequal.settings import Settings
from sequal.study.items import Item

__all__ = ["PREDICTED_DICE", "groups_of_one_grid", "score_items"]

#: Name under which the ledger keeps the Dice to be expected of a mask beside the scores.
PREDICTED_DICE: Final = "predicted_dice"

Scores = dict[str, dict[str, float]]


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
        (`dice_to_expect` has the reason).
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
    by_branch = model_of(settings).branch_tells

    def score(pixels: Tensor, grid: Grid) -> dict[str, Tensor]:
        looked = loaded.look(pixels, grid, device, with_errors=by_branch or SQA in acquisitions)
        scores = score_all(loaded.seen(looked, settings))
        if SQA not in acquisitions:
            del scores[SQA]
        return {**scores, PREDICTED_DICE: _predicted_dice(looked, pixels, grid, loaded, settings, device)}

    for group in groups_of_one_grid(items, frames):
        pixels = torch.cat([frame.pixels for _, frame in group])
        # A long clip is scored part by part, so that its probabilities are never all in memory at once.
        parts = [score(part, group[0][1].grid) for part in torch.split(pixels, FRAMES_AT_ONCE)]
        by_name = {name: torch.cat([part[name] for part in parts]) for name in parts[0]}
        if BALD in acquisitions:
            by_name[BALD] = bald_of_frames(loaded.shown, pixels, group[0][1].grid, device, settings.seed)
        start = 0
        for item, frame in group:
            end = start + frame.frames
            yield item.id, {name: float(values[start:end].mean()) for name, values in by_name.items()}
            start = end
    for item in items:
        if item.id in frames.unreadable:
            yield item.id, frames.unreadable[item.id]


def _predicted_dice(
    looked: Looked, pixels: Tensor, grid: Grid, loaded: LoadedPair, settings: Settings, device: torch.device
) -> Tensor:
    """Float64 (B,)."""
    if looked.wrong is not None and model_of(settings).branch_tells:
        return 1.0 - score_sqa(loaded.seen(looked, settings)).double().cpu()
    foreground = 1.0 - looked.log_p[loaded.shown][:, 0].exp()
    expected = [expected_dice(frame) for frame in foreground.cpu().numpy()]
    said = [math.nan if one is None else loaded.confidence.of(one) for one in expected]
    dice = torch.tensor(said, dtype=torch.float64)
    empty = torch.tensor([one is None for one in expected])
    if loaded.branched is not None and empty.any():
        seen = loaded.seen(loaded.look(pixels[empty], grid, device), settings)
        dice[empty] = 1.0 - score_sqa(seen).double().cpu()
    return dice


def groups_of_one_grid(items: Sequence[Item], frames: WorkingFrames) -> Iterator[list[tuple[Item, WorkingFrame]]]:
    """Readable neighbours of one working grid, as many as go through the networks together."""
    group: list[tuple[Item, WorkingFrame]] = []
    for item in items:
        frame = frames.get(item)
        if frame is None:
            continue
        held = sum(other.frames for _, other in group)
        if group and (frame.grid.working != group[0][1].grid.working or held + frame.frames > FRAMES_AT_ONCE):
            yield group
            group = []
        group.append((item, frame))
    if group:
        yield group
