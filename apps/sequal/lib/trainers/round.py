"""The train task of every model: one round on what is labelled now."""

import logging
from collections.abc import Mapping
from typing import Any

import psutil
from monailabel.interfaces.datastore import Datastore
from monailabel.interfaces.tasks.train import TrainTask

from lib.configs import Study
from lib.web.access.request_keys import SYNONYMS
from sequal.errors import SequalError
from sequal.learning.training import RoundReport, TrainStats, run_round
from sequal.settings import Settings, per_request_keys, setting_keys
from sequal.study.state import ROUND, RoundLock, repair_published, round_lock

__all__ = ["RoundTrain"]

logger = logging.getLogger(__name__)


class RoundTrain(TrainTask):
    """Runs in a process of its own, reads the datastore and writes only the study's state."""

    def __init__(self, study: Study) -> None:
        super().__init__("One round: train both networks, refine the labels, score the pool")
        self._study = study

    def config(self) -> dict[str, Any]:
        """What a client may change for one round, with the values that hold now."""
        record = self._study.settings.record()
        return {key: record[key] for key in setting_keys() if key in per_request_keys()}

    def stats(self) -> dict[str, Any]:
        """The stats of the running or last round."""
        stats = TrainStats.read(self._study.train_stats)
        if stats and "total_time" not in stats and not self._is_running(stats):
            # Clients wait for `total_time`: a killed round must not keep them waiting.
            return {
                **stats,
                "total_time": 0.0,
                "error": "The round was stopped before its end; nothing was published.",
            }
        return stats

    def check(self, request: Mapping[str, Any]) -> None:
        """Refuse a request before it waits for its turn.

        Raises:
            SettingsError: one of its settings breaks its rule.
        """
        self._settings(request)

    def __call__(self, request: dict[str, Any], datastore: Datastore) -> dict[str, Any]:
        """Run one round; returns its stats.

        Raises:
            SequalError: as `run_round`, or a setting of the request breaks its rule; the stats then hold it under
                `error`, as they do any other error.
        """
        # Before the stats are touched: they are those of the round that runs, perhaps one of another server.
        with round_lock(self._study.state.ledger) as lock:
            stats = TrainStats(self._study.train_stats, self._study.settings.epochs)
            try:
                return stats.finish(self._round(request, datastore, stats, lock).as_stats())
            except Exception as error:
                reason = str(error) if isinstance(error, SequalError) else f"{type(error).__name__}: {error}"
                stats.finish({"error": reason, "published": False, "published_reason": reason})
                raise

    def _round(self, request: dict[str, Any], datastore: Datastore, stats: TrainStats, lock: RoundLock) -> RoundReport:
        study = self._study
        settings = self._settings(request)
        stats.update({"total_epochs": settings.epochs})
        repair_published(study.state)
        for number in study.state.ledger.fail_running_rounds("stopped before its end"):
            logger.warning("Round %d was stopped before its end", number)
            study.state.refined.discard(number)
        return run_round(
            study.labelled(datastore),
            study.unlabelled(datastore),
            study.state,
            settings,
            starting_weights=study.starting_weights,
            progress=stats.update,
            says=lambda doing: stats.update({"doing": doing}),
            before_publishing=lock.check,
        )

    def _is_running(self, stats: dict[str, Any]) -> bool:
        """Whether the process that reports in `stats` still works; it may be one of another server of the study."""
        name = stats.get("process")
        if not isinstance(name, str):
            return _works(stats)
        return bool(self._study.state.ledger.lock_holder(ROUND) == name)

    def _settings(self, request: Mapping[str, Any]) -> Settings:
        # Viewers send the whole advertised config back: what equals it was not chosen by anyone, so a preset
        # may still change it.
        advertised = self.config()
        wanted: dict[str, Any] = {}
        for key, value in request.items():
            name = SYNONYMS.get(key, key)
            if name in advertised and str(value) != str(advertised[name]):
                wanted[name] = value
        return self._study.settings.override(wanted)


def _works(stats: dict[str, Any]) -> bool:
    """As for stats that name their process by its number alone, which may be another's by now."""
    try:
        process = psutil.Process(stats["pid"])
        return bool(process.status() != psutil.STATUS_ZOMBIE and process.create_time() <= stats["start_ts"] + 1)
    except psutil.NoSuchProcess:
        return False
