"""The `pld` scoring method: scores what the model in service has not scored yet."""

import logging
from typing import Any

from monailabel.interfaces.datastore import Datastore
from monailabel.interfaces.tasks.scoring import ScoringMethod

from lib.acquisition import ACQUISITION_FUNCTIONS
from lib.configs import Study
from lib.imaging.working_frames import WorkingFrames
from lib.inference import score_items
from lib.items import Item

__all__ = ["PldScoring", "unscored"]

logger = logging.getLogger(__name__)


def unscored(study: Study, datastore: Datastore) -> list[Item]:
    """Unlabelled images that the model in service has not scored; empty when there is no model."""
    digest = study.served.digest
    if digest is None:
        return []
    known = study.state.ledger.scored_images(digest, ACQUISITION_FUNCTIONS)
    return [item for item in study.unlabelled(datastore) if item.id not in known]


class PldScoring(ScoringMethod):
    """Writes PLD, and the other pointwise scores that come for free with it, to the ledger.

    Runs in a process of its own and never writes to the datastore, which would lose what the server writes.
    """

    def __init__(self, study: Study) -> None:
        super().__init__("Pseudo Label Divergence of every unlabelled image, higher is asked for first")
        self._study = study

    def __call__(self, request: dict[str, Any], datastore: Datastore) -> dict[str, Any]:
        """Score; returns `{"checkpoint", "scored", "left_out": {id: reason}}`."""
        study = self._study
        items = unscored(study, datastore)
        if not items:
            return {"checkpoint": study.served.digest, "scored": 0, "left_out": {}}
        loaded = study.served.load()
        frames = WorkingFrames(study.settings, cache_bytes=0)

        def keep(image: str, scores: dict[str, float]) -> None:
            study.state.ledger.put_scores(loaded.digest, {name: {image: value} for name, value in scores.items()})
            logger.info("Scored %s: %s", image, {name: round(value, 5) for name, value in scores.items()})

        scored = score_items(items, loaded.reference, loaded.other, frames, study.settings, study.device, keep)
        # An unreadable image gets no score (NaN), so that it is not tried again with this checkpoint.
        missing = {image: float("nan") for image in frames.unreadable}
        study.state.ledger.put_scores(loaded.digest, dict.fromkeys(ACQUISITION_FUNCTIONS, missing))
        return {"checkpoint": loaded.digest, "scored": len(scored), "left_out": frames.unreadable}
