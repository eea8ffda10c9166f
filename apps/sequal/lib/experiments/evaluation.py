"""One pass of a round's networks over the pool (errors and every score) and over the test images (every metric)."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from lib.acquisition import BALD, pseudo_label_divergence, score_all
from lib.experiments.dataset import Dataset, DatasetFrame
from lib.experiments.overlap import dice, mean_or_none
from lib.experiments.playable import FORM_SCORES
from lib.imaging import Calibration
from lib.imaging.working_frames import WorkingFrames
from lib.inference import LoadedPair, log_probabilities, predict_probability
from lib.inference.mc_dropout import bald_of_frames
from lib.inference.pieces import drop_short_pieces
from lib.labels import INTIMA_MEDIA
from lib.measurement import boundaries_from_mask, boundaries_from_probability, measure_imt, score_segmentation
from lib.settings import Settings

__all__ = ["PoolEvaluation", "evaluate_pool", "evaluate_test"]


@dataclass(frozen=True)
class PoolEvaluation:
    """What a pass over the unlabelled pool gives.

    Attributes:
        errors: 1 − Dice of the teacher with the truth, by image id.
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
    """
    teacher = loaded.pair.teacher
    networks = [loaded.reference, loaded.other, teacher, *([] if former_teacher is None else [former_teacher])]
    errors: dict[str, float] = {}
    scores: dict[str, dict[str, float]] = {}
    for image in images:
        frame = frames.get(dataset.item("pool", image))
        if frame is None:
            continue
        log_p = log_probabilities(networks, frame.pixels, frame.grid, device)
        thin_px = settings.thin_layer_px
        found = score_all(
            log_p[loaded.reference],
            log_p[loaded.other],
            log_p[teacher],
            pld_form=settings.pld_form,
            thin_px=thin_px,
        )
        found |= _forms("", log_p[loaded.reference], log_p[loaded.other], thin_px)
        if former_teacher is not None:
            found |= _forms("_rounds", log_p[teacher], log_p[former_teacher], thin_px)
        if with_bald:
            found[BALD] = bald_of_frames(teacher, frame.pixels, frame.grid, device, settings.seed)
        for name, value in found.items():
            if bool(value.isfinite().all()):
                scores.setdefault(name, {})[image] = float(value.mean())
        probability = frame.grid.to_native(log_p[teacher][:, INTIMA_MEDIA].exp())[0]
        mask = _shown(probability, dataset.frames["pool"][image], settings) > 0.5
        errors[image] = 1.0 - dice(mask.astype("uint8"), dataset.truth("pool", image))
    return PoolEvaluation(errors, scores)


def evaluate_test(
    dataset: Dataset, teacher: nn.Module, frames: WorkingFrames, settings: Settings, device: torch.device
) -> dict[str, Any]:
    """Every metric of every test image, and their means, as JSON values.

    Returns:
        `images`: a record each with `id`, `kind`, `layer` (whether the truth shows it), `dice`, `iou`, `hd95`, `asd`,
        `imt_predicted`, `imt_true`, `unit`, `empty`; distances are None where one mask is empty, thicknesses where
        there is no layer. `mean`: means over the images that show the layer and have the value (None for distances in
        mixed units), `unit`, and how many images have a layer and no mask (`empty`), no layer (`without_layer`), and no
        layer but a mask (`false_masks`). Against an empty truth a Dice is 0 or 1: among the others it would say little
        of segmentation and move the mean with every speck.
    """
    records = []
    for image, known in dataset.frames["test"].items():
        frame = frames.get(dataset.item("test", image))
        if frame is None:
            continue
        truth = dataset.truth("test", image)
        probability = _shown(predict_probability(teacher, frame, device)[:, :, 0], known, settings)
        mask = (probability > 0.5).astype("uint8")
        scores = score_segmentation(mask, truth, known.spacing_mm)
        calibration = Calibration(known.spacing_mm, "experiment")
        records.append(
            {
                "id": image,
                "kind": known.kind,
                "layer": bool(truth.any()),
                "dice": scores.dice,
                "iou": scores.iou,
                "hd95": mean_or_none([scores.hd95]),
                "asd": mean_or_none([scores.asd]),
                "imt_predicted": measure_imt(boundaries_from_probability(probability), calibration).mean,
                "imt_true": measure_imt(boundaries_from_mask(truth), calibration).mean,
                "unit": scores.unit,
                "empty": not mask.any(),
            }
        )
    return {"images": records, "mean": _means(records)}


def _shown(probability: NDArray[np.float32], known: DatasetFrame, settings: Settings) -> NDArray[np.float32]:
    """Without the short pieces, which an annotator is not shown either (see `predict_frame`)."""
    pixel_mm = (known.spacing_mm or (settings.working_spacing_mm,))[0]
    return drop_short_pieces(probability, pixel_mm, settings.min_piece_mm)


def _means(records: list[dict[str, Any]]) -> dict[str, Any]:
    shown = [record for record in records if record["layer"]]
    bare = [record for record in records if not record["layer"]]
    means: dict[str, Any] = {
        name: mean_or_none([record[name] for record in shown if record[name] is not None])
        for name in ("dice", "iou", "hd95", "asd")
    }
    units = sorted({record["unit"] for record in shown})
    if len(units) > 1:  # millimetres and pixels have no common mean
        means |= {"hd95": None, "asd": None}
    return {
        **means,
        "unit": units[0] if len(units) == 1 else "mixed",
        "empty": sum(record["empty"] for record in shown),
        "without_layer": len(bare),
        "false_masks": sum(not record["empty"] for record in bare),
    }


def _forms(suffix: str, log_p_reference: Tensor, log_p_other: Tensor, thin_px: float) -> dict[str, Tensor]:
    return {
        f"{name}{suffix}": pseudo_label_divergence(log_p_reference, log_p_other, form=form, thin_px=thin_px)
        for form, name in FORM_SCORES.items()
    }
