"""The `pld` scoring method: scores what the model in service has not scored yet."""

from typing import Any

from monailabel.interfaces.datastore import Datastore
from monailabel.interfaces.tasks.scoring import ScoringMethod

from lib.configs import Study
from lib.inference import score_pool, unscored_items
from lib.items import Item

__all__ = ["PldScoring", "unscored"]


def unscored(study: Study, datastore: Datastore) -> list[Item]:
    """Unlabelled images that the model in service has not scored; empty when there is no model."""
    return unscored_items(study.unlabelled(datastore), study.served.digest, study.state.ledger)


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
        result = score_pool(items, loaded, study.state.ledger, study.settings, study.device)
        return {"checkpoint": loaded.digest, "scored": len(result.scores), "left_out": result.unreadable}
