"""One round of a study at a time, whichever server starts it."""

import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from sequal.errors import PublishError
from sequal.study.state import ROUND, Ledger, has_ended, process_name, round_lock
from sequal.study.state.round_lock import RoundLock

HERE = process_name()
#: On another machine: nobody here knows whether it still works.
ELSEWHERE = "other-machine-1-2/77/1000"


def _ended_process() -> str:
    code = "import sys; sys.path.insert(0, sys.argv[1]); from sequal.study.state import process_name as me; print(me())"
    app = str(Path(__file__).parents[4] / "apps" / "sequal")
    return subprocess.run([sys.executable, "-c", code, app], capture_output=True, text=True, check=True).stdout.strip()


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger.open(tmp_path / "ledger.db", "study")


def test_a_process_that_works_has_not_ended_and_one_that_is_gone_has() -> None:
    assert not has_ended(HERE)
    assert has_ended(_ended_process())
    assert not has_ended(ELSEWHERE)
    machine, number, started = HERE.rsplit("/", 2)
    assert has_ended(f"{machine}/{number}/{int(started) - 100}")


def test_a_lock_is_held_by_one_until_it_is_given_back(ledger: Ledger) -> None:
    assert ledger.take_lock(ROUND, ELSEWHERE, 60, now=100) is None
    assert ledger.take_lock(ROUND, HERE, 60, now=101) == ELSEWHERE
    assert ledger.lock_holder(ROUND, now=101) == ELSEWHERE
    ledger.free_lock(ROUND, HERE)
    assert ledger.take_lock(ROUND, HERE, 60, now=102) == ELSEWHERE
    ledger.free_lock(ROUND, ELSEWHERE)
    assert ledger.take_lock(ROUND, HERE, 60, now=103) is None


def test_a_lock_that_nobody_renews_runs_out_and_its_holder_is_told(ledger: Ledger) -> None:
    assert ledger.take_lock(ROUND, ELSEWHERE, 60, now=100) is None
    assert ledger.renew_lock(ROUND, ELSEWHERE, 60, now=150)
    assert ledger.take_lock(ROUND, HERE, 60, now=200) == ELSEWHERE
    assert ledger.take_lock(ROUND, HERE, 60, now=211) is None
    assert not ledger.renew_lock(ROUND, ELSEWHERE, 60, now=212)


def test_the_lock_of_a_killed_process_of_this_machine_is_free_at_once(ledger: Ledger) -> None:
    assert ledger.take_lock(ROUND, _ended_process(), 10**6) is None
    assert ledger.lock_holder(ROUND) is None
    assert ledger.take_lock(ROUND, HERE, 60) is None


def test_studies_of_one_database_do_not_wait_for_each_other(tmp_path: Path) -> None:
    first, second = (Ledger.open(tmp_path / "ledger.db", study) for study in ("one", "two"))
    assert first.take_lock(ROUND, ELSEWHERE, 60) is None
    assert second.take_lock(ROUND, HERE, 60) is None


def test_rounds_of_two_servers_come_one_after_the_other(tmp_path: Path, ledger: Ledger) -> None:
    other = Ledger.open(tmp_path / "ledger.db", "study")
    assert other.take_lock(ROUND, ELSEWHERE, 60) is None
    told: list[str] = []
    order: list[str] = []

    def second() -> None:
        with round_lock(ledger, told.append, poll_s=0.01):
            order.append("second")

    thread = threading.Thread(target=second)
    thread.start()
    end = time.monotonic() + 20
    while not told and time.monotonic() < end:
        time.sleep(0.01)
    order.append("first")
    other.free_lock(ROUND, ELSEWHERE)
    thread.join()
    assert told == [ELSEWHERE]
    assert order == ["first", "second"]
    assert ledger.lock_holder(ROUND) is None


def test_a_round_that_lost_its_lock_may_not_publish(ledger: Ledger) -> None:
    with round_lock(ledger, hold_s=0.3) as lock:
        lock.check()
        ledger.free_lock(ROUND, HERE)
        assert ledger.take_lock(ROUND, ELSEWHERE, 60) is None
        end = time.monotonic() + 20
        while time.monotonic() < end:
            try:
                lock.check()
            except PublishError:
                break
            time.sleep(0.01)
        with pytest.raises(PublishError, match="train again"):
            lock.check()
    assert ledger.lock_holder(ROUND) == ELSEWHERE


def test_a_round_that_is_renewed_may_publish_long_after_its_first_term(ledger: Ledger) -> None:
    assert ledger.take_lock(ROUND, HERE, 2.0) is None
    lock = RoundLock(ledger, HERE, 2.0)
    try:
        end = time.monotonic() + 2.5
        while time.monotonic() < end:
            lock.check()
            time.sleep(0.02)
        lock.check()
    finally:
        lock.end()
    assert ledger.lock_holder(ROUND) is None
