"""A damaged published checkpoint gives way to the newest good one, and everybody is told."""

from pathlib import Path

import pytest
import torch

from sequal.errors import CheckpointError
from sequal.prediction import ServedModel
from sequal.settings import Settings
from sequal.study.state import StudyState, file_digest, publish, repair_published, save_checkpoint, state_warnings

CPU = torch.device("cpu")


def _round(state: StudyState, value: float, status: str = "published", meta: dict[str, object] | None = None) -> str:
    number = state.ledger.start_round(
        settings={}, seed=0, versions={}, train_ids=[], validation_ids=[], unlabelled_count=0
    )
    weights = {"w": torch.full((2,), value)}
    members = {"teacher": {"architecture": {"name": "unet", "kwargs": {}}, "weights": weights}}
    payload = {"format": 2, "model": "carotid", "method": "sequal", "members": members, "meta": meta or {}}
    digest = save_checkpoint(state.checkpoint_of(number), payload)
    state.ledger.finish_round(number, status=status, reason="", checkpoint_digest=digest)
    if status == "published":
        publish(state.checkpoint_of(number), state.published)
    return digest


@pytest.fixture
def state(tmp_path: Path) -> StudyState:
    return StudyState.open(tmp_path / "state", Settings())


def _cut(path: Path) -> bytes:
    content = path.read_bytes()[: path.stat().st_size // 2]
    path.unlink()
    path.write_bytes(content)
    return content


def test_the_newest_good_published_round_takes_its_place(state: StudyState) -> None:
    _round(state, 1)
    good = _round(state, 2)
    _round(state, 3)
    _round(state, 4, "rejected")
    assert not repair_published(state)
    damaged = _cut(state.published)
    _cut(state.checkpoint_of(3))
    assert repair_published(state)
    assert file_digest(state.published) == good
    assert [path.read_bytes() for path in state.root.glob("published.damaged-*.pt")] == [damaged]
    assert any("model in service was damaged" in warning for warning in state_warnings(state.root))
    assert not repair_published(state)


@pytest.mark.parametrize("content", [b"", b"no checkpoint", b"PK\x03\x04"])
def test_without_a_good_round_the_starting_weights_serve(state: StudyState, content: bytes) -> None:
    state.published.write_bytes(content)
    assert repair_published(state)
    assert not state.published.exists()
    assert len(list(state.root.glob("published.damaged-*.pt"))) == 1


def test_what_is_no_damage_stays(state: StudyState) -> None:
    assert not repair_published(state)
    torch.save({"format": 3}, state.published)
    before = state.published.read_bytes()
    assert not repair_published(state)
    assert state.published.read_bytes() == before


def test_a_model_that_is_damaged_while_it_is_served_is_repaired_once(tmp_path: Path) -> None:
    published, calls = tmp_path / "published.pt", []
    published.write_bytes(b"cut")

    def repair() -> bool:
        calls.append(1)
        return False

    with pytest.raises(CheckpointError, match="damaged"):
        ServedModel(published, tmp_path / "none.pt", CPU, repair).load()
    assert calls == [1]


@pytest.mark.parametrize(
    ("meta", "told"),
    [
        ({"surroundings": {"lumen": 0.02}}, True),
        ({"surroundings": {"uneven_lumen": 0.02}}, False),
        ({"surroundings": {}}, False),
        ({}, False),
    ],
)
def test_a_model_that_noted_other_surroundings_than_its_rules_need_is_told_until_one_that_did_not_is_in_service(
    state: StudyState, meta: dict[str, object], told: bool
) -> None:
    _round(state, 1, meta=meta)
    assert any("Train once" in warning for warning in state_warnings(state.root)) == told
    _round(state, 2, meta={"surroundings": {"uneven_lumen": 0.0}})
    assert state_warnings(state.root) == []


def test_a_full_disk_and_a_damaged_ledger_are_told(state: StudyState, monkeypatch: pytest.MonkeyPatch) -> None:
    assert state_warnings(state.root) == []
    (state.root / "ledger.corrupt-1.db").write_bytes(b"x")
    assert "ledger was damaged" in state_warnings(state.root)[0]
    monkeypatch.setattr("sequal.study.state.health.shutil.disk_usage", lambda _: type("Usage", (), {"free": 5 * 2**20}))
    assert "5 MiB left" in state_warnings(state.root)[-1]
