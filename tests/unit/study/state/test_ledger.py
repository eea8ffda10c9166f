import math
import sqlite3

import numpy as np
import pytest
from sqlalchemy import insert

from sequal.errors import StudyError
from sequal.study.state import Ledger, RefinedRecord
from sequal.study.state.engine import move_corrupt_aside
from sequal.study.state.schema import rounds


@pytest.fixture
def ledger(tmp_path):
    return Ledger.open(tmp_path / "ledger.db")


def start(ledger, **changes):
    return ledger.start_round(
        **{
            "settings": {"epochs": 3},
            "seed": 5,
            "versions": {"torch": "2"},
            "train_ids": ["a"],
            "validation_ids": ["b"],
            "unlabelled_count": 7,
            "now": 100.0,
            **changes,
        }
    )


def record(image, number, **changes):
    return RefinedRecord(
        **{
            "image": image,
            "round": number,
            "label_digest": "y",
            "checkpoint_digest": "c",
            "fraction_changed": 0.25,
            "fusion_lambda": 0.8,
            "created_at": 1.0,
            **changes,
        }
    )


def test_scores_are_kept_by_checkpoint_and_function(ledger):
    ledger.put_scores("c1", {"pld": {"a": 0.5, "b": 0.25}, "entropy": {"a": 0.1}})
    ledger.put_scores("c2", {"pld": {"a": 9.0}})
    assert ledger.scores("c1", "pld") == {"a": 0.5, "b": 0.25}
    assert ledger.scores("c2", "pld") == {"a": 9.0}
    assert ledger.scores("c2", "entropy") == {}


def test_putting_a_score_again_replaces_it(ledger):
    ledger.put_scores("c", {"pld": {"a": 0.5}})
    ledger.put_scores("c", {"pld": {"a": 0.75, "b": 0.0}})
    assert ledger.scores("c", "pld") == {"a": 0.75, "b": 0.0}


def test_putting_nothing_changes_nothing(ledger):
    ledger.put_scores("c", {"pld": {}})
    assert ledger.scores("c", "pld") == {}


def test_failed_score_counts_as_tried(ledger):
    ledger.put_scores("c", {"pld": {"nan": math.nan, "inf": math.inf, "fine": np.float64(0.5)}})
    scores = ledger.scores("c", "pld")
    assert math.isnan(scores["nan"])
    assert math.isnan(scores["inf"])
    assert scores["fine"] == 0.5
    assert ledger.scored_images("c", ["pld"]) == {"nan", "inf", "fine"}


def test_scored_images_are_those_with_every_score(ledger):
    ledger.put_scores("c", {"pld": {"a": 1.0, "b": 1.0}, "entropy": {"b": 1.0}})
    assert ledger.scored_images("c", ["pld", "entropy"]) == {"b"}
    assert ledger.scored_images("c", []) == set()
    assert ledger.scored_images("other", ["pld"]) == set()


def test_round_from_start_to_end(ledger):
    number = start(ledger)
    running = ledger.rounds()[0]
    assert (number, running.round, running.status, running.finished_at) == (1, 1, "running", None)
    metrics = {"dice": np.float32(0.5), "hd": math.nan, "per_image": {"b": [1, 2.5]}}
    ledger.finish_round(
        number, status="published", reason="0.5 > 0.4", metrics=metrics, checkpoint_digest="c", now=130.0
    )
    done = ledger.rounds()[0]
    assert done.status == "published"
    assert done.metrics == {"dice": 0.5, "hd": None, "per_image": {"b": [1, 2.5]}}
    assert (done.seconds, done.reason, done.checkpoint_digest) == (30.0, "0.5 > 0.4", "c")
    assert (done.settings, done.seed, done.versions) == ({"epochs": 3}, 5, {"torch": "2"})
    assert (done.train_ids, done.validation_ids, done.unlabelled_count) == (["a"], ["b"], 7)


def test_rounds_are_numbered_in_order_and_survive_reopening(tmp_path):
    first = Ledger.open(tmp_path / "ledger.db")
    assert [start(first), start(first)] == [1, 2]
    again = Ledger.open(tmp_path / "ledger.db")
    assert start(again) == 3
    assert [entry.round for entry in again.rounds()] == [1, 2, 3]


def test_finishing_a_round_that_never_started(ledger):
    with pytest.raises(StudyError, match="got 4"):
        ledger.finish_round(4, status="failed", reason="x")


def test_rounds_of_a_killed_process_are_closed(ledger):
    start(ledger)
    ledger.finish_round(1, status="rejected", reason="worse")
    start(ledger)
    assert ledger.fail_running_rounds("the process ended", now=160.0) == [2]
    assert [(entry.status, entry.reason) for entry in ledger.rounds()] == [
        ("rejected", "worse"),
        ("failed", "the process ended"),
    ]
    assert ledger.rounds()[1].seconds == 60.0
    assert ledger.fail_running_rounds("again") == []


def test_refined_labels_are_recorded_and_dropped_by_image(ledger):
    ledger.put_refined([record("b", 1), record("a", 1)])
    ledger.put_refined([record("a", 2), record("a", 1, fraction_changed=0.5)])
    assert [(entry.image, entry.round, entry.fraction_changed) for entry in ledger.refined()] == [
        ("a", 1, 0.5),
        ("b", 1, 0.25),
        ("a", 2, 0.25),
    ]
    ledger.drop_refined("a")
    assert ledger.refined() == [record("b", 1)]


def test_studies_that_share_a_database_do_not_see_each_other(tmp_path):
    url = f"sqlite:///{tmp_path / 'shared.db'}"
    one, other = Ledger.open(url, "one"), Ledger.open(url, "other")
    one.put_scores("c", {"pld": {"a": 1.0}})
    one.put_refined([record("a", 1)])
    start(one)
    one.acquire_lease(["a"], "x", 60, now=0)
    assert other.scores("c", "pld") == {}
    assert other.refined() == []
    assert other.rounds() == []
    assert other.leased(now=1) == {}
    assert start(other) == 1
    other.drop_refined("a")
    other.release("a")
    assert len(one.refined()) == 1
    assert one.leased(now=1) == {"a": "x"}


@pytest.mark.parametrize("content", [b"this is not a database" * 100, b"SQLite format 3\x00" + b"\xff" * 5000])
def test_damaged_ledger_is_moved_aside(tmp_path, caplog, content):
    path = tmp_path / "ledger.db"
    path.write_bytes(content)
    (tmp_path / "ledger.corrupt-1.db").write_bytes(b"an earlier one")
    ledger = Ledger.open(path)
    assert start(ledger) == 1
    assert (tmp_path / "ledger.corrupt-2.db").read_bytes() == content
    assert (tmp_path / "ledger.corrupt-1.db").read_bytes() == b"an earlier one"
    assert "ledger.corrupt-2.db" in caplog.text


def test_ledger_damaged_in_the_middle_is_moved_aside(tmp_path):
    path = tmp_path / "ledger.db"
    ledger = Ledger.open(path)
    ledger.put_scores("c", {"pld": {f"image-{number}": 1.0 for number in range(500)}})
    ledger.close()  # folds the write-ahead log into the file
    content = bytearray(path.read_bytes())
    content[4096 : 4096 * 4] = b"\x55" * (4096 * 3)
    path.write_bytes(content)
    assert Ledger.open(path).scores("c", "pld") == {}
    assert (tmp_path / "ledger.corrupt-1.db").exists()


def test_healthy_ledger_stays_even_while_another_writes(tmp_path):
    path = tmp_path / "ledger.db"
    Ledger.open(path)
    writer = sqlite3.connect(path, isolation_level=None)
    try:
        writer.execute("BEGIN IMMEDIATE")
        assert move_corrupt_aside(path) is None
    finally:
        writer.close()
    assert Ledger.open(path).rounds() == []


def test_damaged_ledger_takes_its_journals_along(tmp_path):
    path = tmp_path / "ledger.db"
    ledger = Ledger.open(path)
    ledger.close()
    open_reader = sqlite3.connect(path)  # keeps the write-ahead log from being folded into the file
    open_reader.execute("SELECT * FROM rounds").fetchall()
    start(ledger)
    ledger.close()
    content = bytearray(path.read_bytes())
    content[100:4096] = b"\x55" * (4096 - 100)
    for at in range(4096, len(content), 4096):
        content[at : at + 100] = b"\x55" * 100
    path.write_bytes(content)
    assert move_corrupt_aside(path) == tmp_path / "ledger.corrupt-1.db"
    open_reader.close()
    assert (tmp_path / "ledger.corrupt-1.db-wal").exists()
    assert not (tmp_path / "ledger.db-wal").exists()


class RacingLedger(Ledger):
    """Another server takes the round's number at the first attempt."""

    attempts = 0

    def _insert_round(self, connection, row):
        self.attempts += 1
        if self.attempts == 1:
            for _ in range(2):
                connection.execute(insert(rounds).values(round=1, **row))
        return super()._insert_round(connection, row)


def test_number_that_another_server_took_is_tried_again(tmp_path):
    ledger = RacingLedger.open(tmp_path / "ledger.db")
    assert start(ledger) == 1
    assert ledger.attempts == 2


def test_reader_is_not_kept_waiting_by_a_writer(tmp_path):
    path = tmp_path / "ledger.db"
    ledger = Ledger.open(path)
    ledger.put_scores("c", {"pld": {"a": 1.0}})
    writer = sqlite3.connect(path, isolation_level=None)
    try:
        writer.execute("BEGIN IMMEDIATE")
        writer.execute("DELETE FROM scores")
        assert ledger.scores("c", "pld") == {"a": 1.0}
    finally:
        writer.close()


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///:memory:", "nosuchdb://h/d", "not a url"])
def test_useless_urls_are_refused(url):
    with pytest.raises(StudyError, match="ledger"):
        Ledger.open(url)


def test_unreachable_database_is_named_without_its_password(tmp_path):
    with pytest.raises(StudyError) as raised:
        Ledger.open(f"sqlite:///{tmp_path}/missing/ledger.db")
    assert "missing/ledger.db" in str(raised.value)
    with pytest.raises(StudyError) as raised:
        Ledger.open("nosuchdb://user:secret@host/db")
    assert "secret" not in str(raised.value)


def test_ledger_whose_tables_are_gone_says_so(tmp_path):
    ledger = Ledger.open(tmp_path / "ledger.db")
    connection = sqlite3.connect(tmp_path / "ledger.db")
    connection.execute("DROP TABLE scores")
    connection.commit()
    connection.close()
    with pytest.raises(StudyError, match="readable"):
        ledger.scores("c", "pld")
    with pytest.raises(StudyError, match="writable"):
        ledger.put_scores("c", {"pld": {"a": 1.0}})
