import sqlite3

import pytest

from sequal.study.state import Ledger, SkipRecord


@pytest.fixture
def ledger(tmp_path):
    return Ledger.open(tmp_path / "ledger.db")


def test_a_skip_is_kept_replaced_and_taken_back(ledger):
    assert ledger.skipped() == frozenset()
    ledger.skip("b", "anna", "too dark", now=1.0)
    ledger.skip("a", None, "", now=2.0)
    ledger.skip("b", "bob", "a vein", now=3.0)
    assert ledger.skips() == [SkipRecord("a", "anonymous", "", 2.0), SkipRecord("b", "bob", "a vein", 3.0)]
    assert ledger.skipped() == {"a", "b"}
    assert ledger.take_back("b")
    assert not ledger.take_back("b")
    assert ledger.skipped() == {"a"}


def test_studies_in_one_database_keep_apart(tmp_path):
    url = f"sqlite:///{tmp_path / 'shared.db'}"
    one, other = Ledger.open(url, "one"), Ledger.open(url, "other")
    one.skip("a", "anna", "")
    assert (one.skipped(), other.skipped()) == ({"a"}, frozenset())
    assert not other.take_back("a")
    assert one.skipped() == {"a"}


def test_a_ledger_of_an_older_version_opens(tmp_path):
    path = tmp_path / "ledger.db"
    old = Ledger.open(path)
    old.put_scores("d", {"pld": {"a": 1.0}})
    old.close()
    connection = sqlite3.connect(path)
    connection.execute("DROP TABLE skips")
    connection.commit()
    connection.close()
    ledger = Ledger.open(path)
    ledger.skip("a", "anna", "")
    assert ledger.skipped() == {"a"}
    assert ledger.scores("d", "pld") == {"a": 1.0}
