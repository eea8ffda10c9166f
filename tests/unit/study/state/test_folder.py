import os
from pathlib import Path

import pytest

from sequal.errors import StudyError
from sequal.settings import Settings
from sequal.study.state import StudyState, study_state_folder


def test_opening_makes_everything(tmp_path):
    state = StudyState.open(tmp_path / "study", Settings())
    assert sorted(name for name in os.listdir(state.root) if not name.startswith("ledger.db-")) == [
        "checkpoints",
        "events",
        "ledger.db",
        "refined",
        "rejected",
        "study.id",
    ]
    assert (state.checkpoints, state.events) == (state.root / "checkpoints", state.root / "events")
    assert not state.published.exists()
    assert not state.split_file.exists()


def test_opening_clears_what_a_killed_process_left(tmp_path):
    left = StudyState.open(tmp_path, Settings()).checkpoints / ".0123.tmp"
    left.write_bytes(b"half a checkpoint")
    os.utime(left, (0, 0))
    StudyState.open(tmp_path, Settings())
    assert not left.exists()


def test_opening_again_finds_everything(tmp_path):
    first = StudyState.open(tmp_path, Settings())
    first.ledger.put_scores("c", {"pld": {"a": 1.0}})
    second = StudyState.open(tmp_path, Settings())
    assert second.ledger.scores("c", "pld") == {"a": 1.0}


def test_state_that_moved_to_another_folder_is_the_same_study(tmp_path):
    StudyState.open(tmp_path / "here", Settings()).ledger.put_scores("c", {"pld": {"a": 1.0}})
    (tmp_path / "here").rename(tmp_path / "there")
    assert StudyState.open(tmp_path / "there", Settings()).ledger.scores("c", "pld") == {"a": 1.0}


def test_studies_that_share_a_ledger_keep_apart(tmp_path):
    settings = Settings.from_conf({"ledger": f"sqlite:///{tmp_path / 'shared.db'}"})
    one, other = (StudyState.open(tmp_path / name, settings) for name in ("one", "other"))
    one.ledger.put_scores("c", {"pld": {"a": 1.0}})
    assert other.ledger.scores("c", "pld") == {}
    assert not (one.root / "ledger.db").exists()


def test_damaged_ledger_costs_nothing_else(tmp_path):
    state = StudyState.open(tmp_path, Settings())
    state.published.write_bytes(b"weights")
    state.ledger.close()
    (tmp_path / "ledger.db").write_bytes(b"junk" * 1000)
    again = StudyState.open(tmp_path, Settings())
    assert again.ledger.rounds() == []
    assert again.published.read_bytes() == b"weights"
    assert (tmp_path / "ledger.corrupt-1.db").exists()


def test_state_that_is_a_file(tmp_path):
    (tmp_path / "state").write_text("x")
    with pytest.raises(StudyError, match="writable"):
        StudyState.open(tmp_path / "state", Settings())


def test_folder_name_holds_study_and_hash(tmp_path):
    folder = study_state_folder(tmp_path, "/data/my study (1)")
    assert folder.parent == tmp_path / "model"
    assert folder.name.rsplit("-", 1)[0] == "my_study_1"
    assert len(folder.name.rsplit("-", 1)[1]) == 8


def test_one_folder_for_each_study_whatever_its_spelling(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    by_name = study_state_folder(Path("app"), "study")
    assert study_state_folder(Path("app"), str(tmp_path / "study")) == by_name
    assert study_state_folder(Path("app"), "./x/../study/") == by_name
    assert study_state_folder(Path("app"), str(tmp_path / "other" / "study")) != by_name


@pytest.mark.parametrize(
    ("studies", "name"),
    [("https://pacs/dicom-web", "dicom-web"), ("https://pacs", "pacs"), ("/", "study"), ("/data/...", "study")],
)
def test_name_of_unusual_studies(studies, name):
    assert study_state_folder(Path("app"), studies).name.rsplit("-", 1)[0] == name


def test_a_malformed_address_is_refused(tmp_path):
    with pytest.raises(StudyError, match="Expected `--studies` to be a folder or the address of a DICOMweb service"):
        study_state_folder(tmp_path, "http://[x")
