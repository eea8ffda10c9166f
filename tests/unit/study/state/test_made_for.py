from pathlib import Path

import pytest

from sequal.errors import SettingsError
from sequal.settings import Settings
from sequal.study.state import StudyState, note_made_for

LIVER = Settings.from_conf({"models": "volume", "labels": "liver,left_kidney"})
OTHERS = [
    ({"labels": "left_kidney,liver"}, "labels"),
    ({"labels": "liver"}, "labels"),
    ({"models": "carotid"}, "models"),
]


def _other(changes: dict[str, str]) -> Settings:
    conf = {"models": "volume", "labels": "liver,left_kidney"} | changes
    return Settings.from_conf(
        {key: value for key, value in conf.items() if changes.get("models") is None or key != "labels"}
    )


@pytest.mark.parametrize(("changes", "key"), OTHERS)
def test_a_state_is_not_opened_for_other_labels_or_another_model(
    tmp_path: Path, changes: dict[str, str], key: str
) -> None:
    StudyState.open(tmp_path, LIVER)
    note_made_for(tmp_path, LIVER)
    before = sorted(path.name for path in tmp_path.iterdir())
    with pytest.raises(
        SettingsError,
        match=rf"Expected `{key}` to be (liver,left kidney|volume), because .* Set `{key}`.* delete `.*made_for\.json`",
    ):
        StudyState.open(tmp_path, _other(changes))
    assert sorted(path.name for path in tmp_path.iterdir()) == before
    StudyState.open(tmp_path, LIVER)


def test_a_state_of_an_older_version_tells_by_its_last_round(tmp_path: Path) -> None:
    state = StudyState.open(tmp_path, LIVER)
    mistaken = _other({"labels": "liver"})
    for settings, status in ((LIVER, "published"), (mistaken, "failed"), (mistaken, "rejected")):
        number = state.ledger.start_round(
            settings=settings.record(), seed=0, versions={}, train_ids=[], validation_ids=[], unlabelled_count=0
        )
        state.ledger.finish_round(number, status=status, reason="test")
    with pytest.raises(SettingsError, match=r"Expected `labels` to be liver,left kidney.*its last published round"):
        StudyState.open(tmp_path, _other({"labels": "liver"}))
    (tmp_path / "made_for.json").write_bytes(b"half a fi")
    StudyState.open(tmp_path, LIVER)


def test_a_state_in_which_no_round_was_published_is_for_anything(tmp_path: Path) -> None:
    state = StudyState.open(tmp_path, LIVER)
    number = state.ledger.start_round(
        settings=LIVER.record(), seed=0, versions={}, train_ids=[], validation_ids=[], unlabelled_count=0
    )
    state.ledger.finish_round(number, status="failed", reason="test")
    StudyState.open(tmp_path, _other({"labels": "liver"}))
