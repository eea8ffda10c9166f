"""What every score says of one image, and how good its mask really is."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from figures import THRESHOLDS
from numpy.typing import NDArray

from sequal.acquisition import score_all
from sequal.anatomy.measurement import label_dice
from sequal.anatomy.model import Model
from sequal.anatomy.models import model_of
from sequal.experiments.failure_detection import error_map_dice
from sequal.files.imaging import Frame
from sequal.labels import IGNORE
from sequal.prediction import LoadedPair, expected_dice, predict_image
from sequal.prediction.mc_dropout import dropout_dice, pairwise_dice
from sequal.settings import Settings

CPU = torch.device("cpu")


class Case(NamedTuple):
    """An image with its truth, uint8 with 255 where nobody traced, and its patient."""

    frame: Frame
    truth: NDArray[np.uint8]
    patient: str


def look(case: Case, every: Sequence[LoadedPair], settings: Settings) -> dict[str, Any]:
    """True Dice of the mask that is shown, every score of it (higher is better), and Dice of the maps by threshold.

    Args:
        case: a frame, or a volume as the settings say.
        every: the same networks, each time with another error branch.
        settings: of the model.
    """
    found = [predict_image(case.frame, one, settings, CPU) for one in every]
    scores, doubt = _without_branch(case.frame, every[0], model_of(settings), settings)
    known = case.truth != IGNORE
    wrong, maps = (found[0].mask != case.truth)[known], {"doubt": doubt[known]}
    scores["confidence"] = found[0].confidence or 0.0  # an empty mask has none: it is looked at first
    for number, one in enumerate(found):
        quality = one.quality
        if quality is None or quality.predicted_dice is None:
            raise SystemExit(
                "Expected weights with an error branch, got some without. Run cli.py pretrain --branch-of."
            )
        if number == 0:
            scores["told"] = one.predicted_dice or 0.0
        scores[f"predicted_dice {number}"] = quality.predicted_dice
        maps[f"branch {number}"] = quality.error[known]
    return {
        "patient": case.patient,
        "dice": label_dice(found[0].mask, case.truth),
        "scores": scores,
        "maps": {name: [error_map_dice(values, wrong, t) for t in THRESHOLDS] for name, values in maps.items()},
    }


def _without_branch(
    frame: Frame, loaded: LoadedPair, model: Model, settings: Settings
) -> tuple[dict[str, float], NDArray[np.float32]]:
    """Scores that need no error branch, and 1 − max p of each pixel of the image."""
    working = model.prepare(frame)
    looked = loaded.look(working.pixels, working.grid, CPU, with_errors=False)
    scores = {name: -float(value) for name, value in score_all(loaded.seen(looked, settings)).items() if name != "sqa"}
    pair = torch.stack([looked.log_p[network].max(dim=1).indices[0] for network in loaded.networks[1:]])
    native = model.to_native(looked.log_p[loaded.shown], working.grid)
    shown = model.clean(native, frame, loaded.surroundings)
    expected = expected_dice(shown.foreground)
    scores |= {
        "expected_dice": 0.0 if expected is None else expected,
        "pair_dice": float(pairwise_dice(pair)),
        "dropout_dice": float(dropout_dice(loaded.shown, working.pixels, working.grid, CPU, 0)[0]),
    }
    return scores, 1 - shown.confidence
