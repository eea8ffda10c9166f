import os
import subprocess
import sys
from pathlib import Path

import pytest

from sequal import processor
from sequal.processor import Threads, step_back, wait_without_spinning


def test_waiting_is_chosen_for_what_starts_from_now_on_and_never_against_the_user(monkeypatch):
    monkeypatch.delenv("OMP_WAIT_POLICY", raising=False)
    monkeypatch.setenv("KMP_BLOCKTIME", "7")
    wait_without_spinning()
    assert os.environ["OMP_WAIT_POLICY"] == "PASSIVE"
    assert os.environ["KMP_BLOCKTIME"] == "7"


@pytest.mark.skipif(os.name != "posix", reason="niceness is POSIX's")
def test_a_process_that_steps_back_is_nice():
    code = (
        "from sequal.processor import step_back; import os; before = os.nice(0); step_back(); print(before, os.nice(0))"
    )
    app = Path(processor.__file__).parents[1]
    said = subprocess.run([sys.executable, "-c", code], cwd=app, capture_output=True, text=True, check=True).stdout
    before, after = map(int, said.split())
    assert after == max(before, 10)


def test_one_computation_has_what_others_leave_and_at_least_one_core():
    threads = Threads(4)
    threads._watch = object()  # nobody looks: the test says how busy others are
    for busy, expected in ((0.0, 4), (0.3, 4), (1.0, 3), (3.8, 1), (9.0, 1)):
        threads._busy_cores = busy
        with threads.of_one() as count:
            assert count == expected


def test_computations_of_one_moment_share_the_cores():
    threads = Threads(4)
    threads._watch = object()
    with threads.of_one() as first, threads.of_one() as second, threads.of_one() as third:
        assert (first, second, third) == (4, 2, 1)
    with threads.of_one() as again:
        assert again == 4


def test_only_others_of_ordinary_priority_count(monkeypatch):
    class Times:
        def __init__(self, **seconds):
            self.__dict__ |= {"user": 0.0, "system": 0.0, "nice": 0.0, **seconds}

    class Process:
        def cpu_times(self):
            return Times(user=3.0, system=1.0)

    monkeypatch.setattr(processor.psutil, "cpu_times", lambda: Times(user=10.0, system=2.0, nice=50.0))
    monkeypatch.setattr(processor.psutil, "Process", Process)
    assert processor._used_s()[1] == 8.0


def test_stepping_back_that_is_not_allowed_is_no_error(monkeypatch):
    class Process:
        def nice(self, value=None):
            raise processor.psutil.AccessDenied

    monkeypatch.setattr(processor.psutil, "Process", Process)
    step_back()
