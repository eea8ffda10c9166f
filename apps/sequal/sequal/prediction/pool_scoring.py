"""Scoring the pool into the ledger: only what the model in service has not scored yet."""

import logging
import math
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

import torch

from sequal.acquisition import BALD, LAYER_ENTROPY, POWER, SCORES_OF_ANY, SQA, power_score
from sequal.prediction.loading import LoadedPair
from sequal.prediction.scoring import PREDICTED_DICE, score_items
from sequal.preparation.working_frames import WorkingFrames
from sequal.settings import Settings
from sequal.study.items import Item
from sequal.study.state import Ledger

__all__ = ["PoolScores", "score_pool", "unscored_items"]

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class PoolScores:
    """What one scoring of the pool did.

    Attributes:
        scores: `{image id: {acquisition name: score}}`, higher is asked for first.
        unreadable: reason by id of the images that could not be read.
    """

    scores: dict[str, dict[str, float]]
    unreadable: dict[str, str]


def unscored_items(
    items: Sequence[Item], digest: str | None, ledger: Ledger, acquisitions: Collection[str] = ()
) -> list[Item]:
    """Those of `items` that a checkpoint has not tried yet, `bald` included if named; none without a checkpoint."""
    if digest is None:
        return []
    known = ledger.scored_images(digest, _names(acquisitions))
    return [item for item in items if item.id not in known]


def score_pool(
    items: Sequence[Item],
    loaded: LoadedPair,
    ledger: Ledger,
    settings: Settings,
    device: torch.device,
    on_scored: Callable[[str], None] = lambda _: None,
    *,
    frames: WorkingFrames | None = None,
    acquisitions: Collection[str] = (),
) -> PoolScores:
    """Score images, each written to the ledger at once, so that a stopped scoring keeps what it did.

    Args:
        items: the images.
        loaded: the model in service.
        ledger: of the study.
        settings: working grid and `pld_form` are used, and `seed` for BALD.
        device: where the networks are.
        on_scored: called after each readable image with its id.
        frames: source of the images, for a caller that has read them already.
        acquisitions: extra scores, as for `score_items`.

    Returns:
        The scores. An image that cannot be read is recorded as tried, so that this checkpoint does not try again.

    Raises:
        StudyError: the ledger cannot be written.
    """
    frames = frames or WorkingFrames(settings, cache_bytes=0)

    def keep(image: str, scores: dict[str, float]) -> None:
        scores[POWER] = power_score(scores[LAYER_ENTROPY], image, settings.seed, loaded.digest)
        ledger.put_scores(loaded.digest, {name: {image: value} for name, value in scores.items()})
        logger.info("Scored %s: %s", image, {name: round(value, 5) for name, value in scores.items()})
        on_scored(image)

    scores = score_items(items, loaded, frames, settings, device, keep, acquisitions=acquisitions)
    unreadable = {item.id: frames.unreadable[item.id] for item in items if item.id in frames.unreadable}
    missing = dict.fromkeys(unreadable, math.nan)
    names = {PREDICTED_DICE, *_names(acquisitions)}
    ledger.put_scores(loaded.digest, dict.fromkeys(sorted(names), missing))
    return PoolScores(scores, unreadable)


def _names(acquisitions: Collection[str]) -> list[str]:
    """Scores that an image which was tried has; a model that lacks what another score needs is not tried again."""
    return [*SCORES_OF_ANY, POWER, *(name for name in (BALD, SQA) if name in acquisitions)]
