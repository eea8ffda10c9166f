import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from sequal.errors import StudyError
from sequal.settings import Settings
from sequal.study.state import StudyState, claim_pacs, claim_study
from sequal.study.state.claim import CLAIM

APP = str(Path(__file__).parents[4] / "apps" / "sequal")


def test_a_second_server_with_the_same_state_is_let_in_and_one_with_another_is_refused(tmp_path: Path) -> None:
    first = claim_study(tmp_path, "one", tmp_path / "state")
    claim_study(tmp_path, "one", tmp_path / "state").release()
    with pytest.raises(StudyError, match="conf state") as caught:
        claim_study(tmp_path, "two", tmp_path / "other")
    assert str(tmp_path / "state") in str(caught.value)
    first.release()
    claim_study(tmp_path, "two", tmp_path / "other").release()


def test_a_claim_ends_with_its_process(tmp_path: Path) -> None:
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); from pathlib import Path; "
        "from sequal.study.state import claim_study; "
        "claim = claim_study(Path(sys.argv[2]), 'one', Path('there')); print('claimed', flush=True); sys.stdin.read()"
    )
    other = subprocess.Popen(
        [sys.executable, "-c", code, APP, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert other.stdout is not None
    assert other.stdout.readline() == b"claimed\n"
    with pytest.raises(StudyError):
        claim_study(tmp_path, "two", tmp_path)
    other.kill()
    other.wait()
    claim_study(tmp_path, "two", tmp_path).release()


def test_a_pacs_is_claimed_by_address_and_filter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    pacs, found = "http://pacs/dicom-web", {"Modality": "US", "BodyPart": "NECK"}
    first = claim_pacs(pacs, found, "one", tmp_path / "state")
    claim_pacs(pacs, dict(reversed(found.items())), "one", tmp_path / "state").release()
    claim_pacs(pacs, {"Modality": "US"}, "two", tmp_path / "other").release()
    claim_pacs("http://other/dicom-web", found, "two", tmp_path / "other").release()
    with pytest.raises(StudyError, match=r"every server of http://pacs/dicom-web .*conf state"):
        claim_pacs(pacs, found, "two", tmp_path / "other")
    first.release()
    claim_pacs(pacs, found, "two", tmp_path / "other").release()


def test_a_link_in_the_place_of_a_claim_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The folder of temporary files is everybody's."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    claim_pacs("http://pacs", {}, "one", tmp_path).release()
    (claim,) = tmp_path.iterdir()
    claim.unlink()
    victim = tmp_path / "victim"
    victim.write_text("what another program wrote")
    claim.symlink_to(victim)
    claim_pacs("http://pacs", {}, "one", tmp_path).release()
    assert victim.read_text() == "what another program wrote"


@pytest.mark.parametrize("content", ["", "{", "[]", '{"state": 3}'])
def test_a_damaged_claim_of_nobody_is_replaced(tmp_path: Path, content: str) -> None:
    (tmp_path / CLAIM).write_text(content)
    claim_study(tmp_path, "one", tmp_path).release()
    assert '"one"' in (tmp_path / CLAIM).read_text()


def test_two_states_have_two_names_and_a_shared_database_is_one_on_every_machine(tmp_path: Path) -> None:
    first, second = (StudyState.open(tmp_path / name, Settings()) for name in "ab")
    assert first.name(Settings()) != second.name(Settings())
    shared = Settings(ledger="postgresql+psycopg://host/database")
    assert first.name(shared) != first.name(Settings())
    assert "postgres" not in first.name(shared)
