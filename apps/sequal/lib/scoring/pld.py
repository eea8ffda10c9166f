"""The `pld` scoring method: scores what the model in service has not scored yet."""

import logging
import time
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

from monailabel.interfaces.datastore import Datastore
from monailabel.interfaces.tasks.scoring import ScoringMethod

from lib.configs import Study
from sequal.acquisition import FEATURES, extras_for, parse_extras
from sequal.prediction import score_pool, store_features, unfeatured_items, unscored_items
from sequal.study.items import Item
from sequal.study.state import ROUND

__all__ = ["PldScoring", "unscored"]

logger = logging.getLogger(__name__)

_POLL_S: Final = 1.0


def unscored(study: Study, datastore: Datastore) -> list[Item]:
    """Images that the model in service has not scored, by id alone; empty without a model.

    Unlabelled images need scores; a strategy in feature space needs the features of labelled images as well.
    """
    extras = extras_for(study.settings.strategy)
    labelled, unlabelled = study.listed(datastore)
    wanted = {item.id: item for item in _unscored(study, unlabelled, extras)}
    wanted |= {item.id: item for item in _unfeatured(study, [*labelled, *unlabelled], extras)}
    return list(wanted.values())


class PldScoring(ScoringMethod):
    """Writes PLD, and the other pointwise scores that come for free with it, to the ledger.

    What costs more (BALD; `sqa`; the features that CoreSet, BADGE and diverse PLD rank by) is computed when the study's
    strategy needs it, or when a request names it: `{"acquisitions": "bald,features,sqa"}`. Runs in a process of its own
    and never writes to the datastore, which would lose what the server writes.
    """

    def __init__(self, study: Study) -> None:
        super().__init__("Pseudo Label Divergence of every unlabelled image, higher is asked for first")
        self._study = study

    def check(self, request: Mapping[str, Any]) -> None:
        """Refuse a request before it waits for its turn.

        Raises:
            SettingsError: it names an extra that is not there.
        """
        parse_extras(str(request.get("acquisitions") or ""))

    def __call__(self, request: dict[str, Any], datastore: Datastore) -> dict[str, Any]:
        """Score; returns `{"checkpoint", "scored", "left_out": {id: reason}}`, and `features` where they were wanted.

        While a round runs, on any server of the study, nothing is scored: the round needs the processor, and what
        comes of it has to be scored afterwards.

        Raises:
            SettingsError: the request names an extra that is not there.
        """
        self.check(request)
        scored: set[str] = set()
        while True:
            self._wait_for_round()
            try:
                return self._score(request, datastore, scored)
            except _RoundBegan:
                logger.info("A round has begun; scoring goes on when it is over")

    def _score(self, request: dict[str, Any], datastore: Datastore, scored: set[str]) -> dict[str, Any]:
        study = self._study
        extras = extras_for(study.settings.strategy) | parse_extras(str(request.get("acquisitions") or ""))
        unlabelled = study.unlabelled(datastore)
        images = [*study.labelled(datastore), *unlabelled] if FEATURES in extras else []
        items, unfeatured = _unscored(study, unlabelled, extras), _unfeatured(study, images, extras)
        result: dict[str, Any] = {"checkpoint": study.served.digest, "scored": len(scored), "left_out": {}}
        if not (items or unfeatured):
            return result
        loaded, ledger = study.served.load(), study.state.ledger

        def count(image: str) -> None:
            scored.add(image)
            self._check_for_round("")

        found = score_pool(items, loaded, ledger, study.settings, study.device, count, acquisitions=extras)
        bad = store_features(
            unfeatured, loaded, study.state.features, study.settings, study.device, self._check_for_round
        )
        result |= {"checkpoint": loaded.digest, "scored": len(scored), "left_out": {**found.unreadable, **bad}}
        return result | ({"features": len(unfeatured) - len(bad)} if FEATURES in extras else {})

    def _wait_for_round(self) -> None:
        while self._study.state.ledger.lock_holder(ROUND) is not None:
            time.sleep(_POLL_S)

    def _check_for_round(self, _image: str) -> None:
        if self._study.state.ledger.lock_holder(ROUND) is not None:
            raise _RoundBegan


class _RoundBegan(Exception):  # noqa: N818 - it is no error
    """A round of the study runs; what was scored so far is in the ledger."""


def _unscored(study: Study, images: Sequence[Item], extras: Collection[str]) -> list[Item]:
    return unscored_items(images, study.served.digest, study.state.ledger, extras)


def _unfeatured(study: Study, images: Sequence[Item], extras: Collection[str]) -> list[Item]:
    if FEATURES not in extras:
        return []
    return unfeatured_items(images, study.served.digest, study.state.features)
