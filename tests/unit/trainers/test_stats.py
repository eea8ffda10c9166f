import json
import os
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from lib.trainers import RoundTrain


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "train_stats.json"


def _stats(file: Path, **values: Any) -> dict[str, Any]:
    file.write_text(json.dumps({"epoch": 2, "total_epochs": 6, **values}))
    return RoundTrain(SimpleNamespace(train_stats=file)).stats()


def test_no_round_yet(file: Path) -> None:
    assert RoundTrain(SimpleNamespace(train_stats=file)).stats() == {}


def test_a_running_round_has_no_total_time(file: Path) -> None:
    assert "total_time" not in _stats(file, pid=os.getpid(), start_ts=int(time.time()))


def test_a_finished_round_is_given_as_it_is(file: Path) -> None:
    assert _stats(file, pid=os.getpid(), start_ts=5, total_time=3.5)["total_time"] == 3.5


def test_a_killed_round_is_over(file: Path) -> None:
    process = subprocess.Popen([sys.executable, "-c", "pass"])
    process.wait()
    stats = _stats(file, pid=process.pid, start_ts=int(time.time()))
    assert stats["total_time"] == 0.0
    assert "stopped before its end" in stats["error"]


def test_a_dead_process_that_nobody_has_asked_about_is_over(file: Path) -> None:
    process = subprocess.Popen([sys.executable, "-c", "pass"], stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.read()  # until it has ended; without `wait` it stays in the table as a zombie
    end = time.monotonic() + 20
    while "total_time" not in _stats(file, pid=process.pid, start_ts=int(time.time())) and time.monotonic() < end:
        time.sleep(0.02)
    assert "total_time" in _stats(file, pid=process.pid, start_ts=int(time.time()))
    process.wait()


def test_a_number_that_belongs_to_a_later_process_is_over(file: Path) -> None:
    assert _stats(file, pid=os.getpid(), start_ts=int(time.time()) - 10**6)["total_time"] == 0.0
