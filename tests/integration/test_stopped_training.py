import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from integration.data import make_study
from integration.server import Server, running, wait_for
from sequal.settings import Settings
from sequal.study.state import StudyState

pytestmark = [pytest.mark.server, pytest.mark.timeout(400)]

LONG = {"epochs": 1000, "iterations_per_epoch": 2, "patch": 64}


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory, checkpoint: Path) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("stopped")
    studies, state = make_study(folder / "study"), folder / "state"
    state.mkdir()
    shutil.copy(checkpoint, state / "published.pt")
    with running(studies, state, auto_scoring="false") as server:
        yield server


def _in_the_middle(server: Server) -> dict[str, Any]:
    """Start a long training; its stats once it has done an epoch."""
    server.client().train_start("carotid", dict(LONG))

    def running_stats() -> dict[str, Any] | None:
        stats = server.stats()
        return stats if stats.get("epoch", 0) >= 1 and "total_time" not in stats else None

    return wait_for("the first epoch", running_stats)


def _delete(server: Server, stats: dict[str, Any]) -> None:
    server.client().train_stop()


def _kill(server: Server, stats: dict[str, Any]) -> None:
    os.kill(stats["pid"], signal.SIGKILL)


@pytest.mark.parametrize("stop", [_delete, _kill], ids=["stopped by the client", "killed"])
def test_a_stopped_training_loses_nothing_and_the_next_one_works(started: Server, stop: Any) -> None:
    published, labels = started.published.read_bytes(), started.labels()
    refined = sorted(path.name for path in (started.state / "refined").glob("*.nii.gz"))

    stats = _in_the_middle(started)
    assert stats["total_epochs"] == LONG["epochs"]
    assert 0 <= stats["best_metric"] <= 1
    assert started.client().train_status(check_if_running=True)
    killed = stats["round"]
    stop(started, stats)

    wait_for("the stats to say that it is over", lambda: "total_time" in started.stats())
    assert "stopped before its end" in started.stats()["error"]
    wait_for("the task to end", lambda: not started.client().train_status(check_if_running=True))
    assert started.published.read_bytes() == published
    assert started.labels() == labels
    assert sorted(path.name for path in (started.state / "refined").glob("*.nii.gz")) == refined
    assert started.client().infer("carotid", "p05_left", {})[1]["pld"] >= 0

    assert started.train()["status"] == "DONE"
    stats = started.stats()
    assert stats["round"] == killed + 1
    assert stats["total_time"] > 0
    assert "error" not in stats
    rounds = {one.round: one.status for one in StudyState.open(started.state, Settings()).ledger.rounds()}
    assert rounds[killed] == "failed"
    assert rounds[killed + 1] in {"published", "rejected"}
    assert started.labels() == labels
