"""Tasks that wait, that cannot start, and that are stopped."""

import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from monailabel.utils.async_tasks import utils

from lib.endpoints.task_queue import TaskQueue, stop_tasks, use_task_queues, wait_for_task


@pytest.fixture(autouse=True)
def _own_tasks(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in ("background_tasks", "background_processes", "background_executors"):
        monkeypatch.setattr(utils, name, {})
    monkeypatch.setenv("PYTHONPATH", "")
    use_task_queues()
    yield
    for queue in utils.background_executors.values():
        queue.shutdown(wait=True, cancel_futures=True)


def _until(true: Callable[[], object]) -> None:
    end = time.monotonic() + 30
    while not true() and time.monotonic() < end:
        time.sleep(0.01)
    assert true()


def test_a_task_that_cannot_start_says_so_and_the_next_one_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    task = utils.run_background_task({"gpus": 5}, "scoring")
    wait_for_task(task)
    assert task["status"] == "ERROR"
    assert "TypeError" in task["details"][0]
    monkeypatch.setattr(sys, "executable", "/bin/true")
    after = utils.run_background_task({}, "scoring")
    wait_for_task(after)
    assert after["status"] == "DONE"


def test_stopping_ends_the_running_task_and_those_that_wait(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    script = tmp_path / "sleep"
    script.write_text("#!/bin/sh\nexec sleep 60\n")
    script.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(script))
    tasks = [utils.run_background_task({"number": number}, "train") for number in range(3)]
    _until(lambda: tasks[0]["status"] == "RUNNING")
    assert stop_tasks("train") is tasks[0]
    assert [task["status"] for task in tasks] == ["STOPPED"] * 3
    _until(lambda: utils.background_executors["train"].started is None)
    assert [task["status"] for task in tasks] == ["STOPPED"] * 3
    assert utils.processes("train") == {}
    assert stop_tasks("train") is None


def test_a_task_that_is_about_to_start_is_stopped_as_well() -> None:
    queue, coming_up, go = TaskQueue("train"), threading.Event(), threading.Event()
    utils.background_executors["train"] = queue
    task = {"id": "one", "status": "SUBMITTED", "request": {}}
    utils.background_tasks["train"] = [task]

    def start(task: dict[str, object], method: str, callback: object) -> None:
        coming_up.set()
        assert go.wait(30)
        task["status"], task["end_ts"] = "DONE", "now"

    queue.submit(start, task, "train", None)
    assert coming_up.wait(30)
    threading.Timer(0.2, go.set).start()
    assert stop_tasks("train") is None
    _until(lambda: queue.started is None)
    queue.shutdown()


def test_queues_of_before_stay() -> None:
    queue = utils.background_executors["train"]
    use_task_queues()
    assert utils.background_executors["train"] is queue
