"""One pass of a round's networks over the pool (errors and every score) and over the test images (every metric)."""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from sequal.acquisition import BALD, pseudo_label_divergence, score_all
from sequal.anatomy.model import Model, NativePrediction
from sequal.anatomy.models import model_of
from sequal.distributed import spread
from sequal.experiments.dataset import Dataset
from sequal.experiments.judging import mean_figures
from sequal.experiments.overlap import dice
from sequal.experiments.playable import FORM_SCORES
from sequal.labels import IGNORE
from sequal.prediction import LoadedPair, expected_dice, groups_of_one_grid, log_probabilities
from sequal.prediction.mc_dropout import bald_of_frames
from sequal.preparation.working_frame import Grid
from sequal.preparation.working_frames import WorkingFrames
from sequal.settings import Settings
from sequal.study.items import Item

__all__ = ["PoolEvaluation", "evaluate_pool", "evaluate_test"]


@dataclass(frozen=True)
class PoolEvaluation:
    """What a pass over the unlabelled pool gives.

    Attributes:
        errors: 1 − Dice of the teacher with the truth, by image id; of an image that nobody traced there is none.
        scores: score by image id, by name. Beside the acquisition functions: `pld_kl`, `pld_pseudo_label` and
            `pld_layer`, the forms of PLD on the pair that the round compares, and from the second round `pld_kl_rounds`
            and so on, the same with this round's teacher and the former round's.
    """

    errors: dict[str, float]
    scores: dict[str, dict[str, float]]


def evaluate_pool(
    dataset: Dataset,
    images: Iterable[str],
    loaded: LoadedPair,
    former_teacher: nn.Module | None,
    frames: WorkingFrames,
    settings: Settings,
    device: torch.device,
    *,
    with_bald: bool = False,
    with_forms: bool = True,
) -> PoolEvaluation:
    """Predict, judge and score every image of the pool.

    Args:
        dataset: holds the truth.
        images: ids of the pool.
        loaded: the round's pair.
        former_teacher: the teacher of the round before.
        frames: source of the images.
        settings: `pld_form` and `min_piece_mm` are used, and `seed` for BALD.
        device: where the networks are.
        with_bald: BALD too, which takes eight passes more; a network without dropout has none.
        with_forms: the forms of PLD too.
    """
    errors: dict[str, float] = {}
    scores: dict[str, dict[str, float]] = {}
    items = [dataset.item("pool", image) for image in images]
    context = (dataset, loaded, former_teacher, frames, settings, device, with_bald, with_forms)
    for image, error, found in spread(_of_pool, items, *context):
        if error is not None:
            errors[image] = error
        for name, value in found.items():
            if math.isfinite(value):
                scores.setdefault(name, {})[image] = value
    return PoolEvaluation(errors, scores)


def _of_pool(
    items: Sequence[Item],
    dataset: Dataset,
    loaded: LoadedPair,
    former_teacher: nn.Module | None,
    frames: WorkingFrames,
    settings: Settings,
    device: torch.device,
    with_bald: bool,
    with_forms: bool,
) -> Iterator[tuple[str, float | None, dict[str, float]]]:
    """The error and the scores of each image."""
    model, teacher, thin_px = model_of(settings), loaded.shown, settings.thin_layer_px
    further = [] if former_teacher is None else [former_teacher]
    for group in groups_of_one_grid(items, frames):
        pixels, grid = torch.cat([frame.pixels for _, frame in group]), group[0][1].grid
        looked = loaded.look(pixels, grid, device, further)
        log_p = looked.log_p
        found = score_all(loaded.seen(looked, settings))
        if with_forms:
            found |= _forms("", log_p[loaded.reference], log_p[loaded.other], thin_px)
        if former_teacher is not None:
            found |= _forms("_rounds", log_p[teacher], log_p[former_teacher], thin_px)
        if with_bald:
            found[BALD] = bald_of_frames(teacher, pixels, grid, device, settings.seed)
        for index, (item, frame) in enumerate(group):
            truth = dataset.truth("pool", item.id)
            shown = _shown(model, loaded, log_p[teacher][index : index + 1], frame.grid, item)
            error = 1.0 - dice(shown.classes, truth, on=truth) if (truth != IGNORE).any() else None
            yield item.id, error, {n: float(v[index]) for n, v in found.items()}


def evaluate_test(
    dataset: Dataset, loaded: LoadedPair, frames: WorkingFrames, settings: Settings, device: torch.device
) -> dict[str, Any]:
    """Every figure of every test image, and their means, as JSON values.

    Returns:
        `images`: a record each with `id`, `kind`, `confidence` (as an annotator is told it; None without a mask) and
        what `Model.judge` gives; `mean`: what `mean_figures` makes of them. An image that nobody traced at all is left
        out.
    """
    items = [dataset.item("test", image) for image in dataset.frames["test"]]
    records = list(spread(_of_test, items, dataset, loaded, frames, settings, device))
    return {"images": records, "mean": mean_figures(records)}


def _of_test(
    items: Sequence[Item],
    dataset: Dataset,
    loaded: LoadedPair,
    frames: WorkingFrames,
    settings: Settings,
    device: torch.device,
) -> Iterator[dict[str, Any]]:
    """The record of each image that somebody traced."""
    model, teacher = model_of(settings), loaded.shown
    for group in groups_of_one_grid(items, frames):
        pixels, grid = torch.cat([frame.pixels for _, frame in group]), group[0][1].grid
        log_p = log_probabilities([teacher], pixels, grid, device)[teacher]
        for (item, frame), one in zip(group, torch.split(log_p, 1), strict=True):
            truth, known = dataset.truth("test", item.id), dataset.frames["test"][item.id]
            if (truth == IGNORE).all():
                continue
            shown = _shown(model, loaded, one, frame.grid, item)
            figures = model.judge(shown, truth, known.spacing_mm)
            expected = expected_dice(shown.foreground)
            said = None if expected is None else loaded.confidence.of(expected)
            yield {"id": item.id, "kind": known.kind, "confidence": said, **figures}


def _shown(model: Model, loaded: LoadedPair, log_p: Tensor, grid: Grid, item: Item) -> NativePrediction:
    """Of one image (1, C, *working), without what an annotator is not shown either."""
    return model.shown(model.to_native(log_p, grid), item.image, loaded.surroundings)


def _forms(suffix: str, log_p_reference: Tensor, log_p_other: Tensor, thin_px: float) -> dict[str, Tensor]:
    return {
        f"{name}{suffix}": pseudo_label_divergence(log_p_reference, log_p_other, form=form, thin_px=thin_px)
        for form, name in FORM_SCORES.items()
    }
