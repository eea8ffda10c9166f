import errno
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from sequal.errors import StudyError
from sequal.settings import Settings
from sequal.study.state import Claim, Ledger, LedgerClaim, StudyState, claim, claim_folder, claim_pacs
from sequal.study.state.claim import CLAIM

APP = str(Path(__file__).parents[4] / "apps" / "sequal")


def test_a_second_server_with_the_same_state_is_let_in_and_one_with_another_is_refused(tmp_path: Path) -> None:
    first = claim_folder(tmp_path, "one", tmp_path / "state")
    claim_folder(tmp_path, "one", tmp_path / "state").release()
    with pytest.raises(StudyError, match="conf state") as caught:
        claim_folder(tmp_path, "two", tmp_path / "other")
    assert str(tmp_path / "state") in str(caught.value)
    first.release()
    claim_folder(tmp_path, "two", tmp_path / "other").release()


def test_a_claim_ends_with_its_process(tmp_path: Path) -> None:
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); from pathlib import Path; "
        "from sequal.study.state import claim_folder; "
        "claim = claim_folder(Path(sys.argv[2]), 'one', Path('there')); print('claimed', flush=True); sys.stdin.read()"
    )
    other = subprocess.Popen(
        [sys.executable, "-c", code, APP, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert other.stdout is not None
    assert other.stdout.readline() == b"claimed\n"
    with pytest.raises(StudyError):
        claim_folder(tmp_path, "two", tmp_path)
    other.kill()
    other.wait()
    claim_folder(tmp_path, "two", tmp_path).release()


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
    ours = claim_folder(tmp_path, "one", tmp_path)
    assert '"one"' in (tmp_path / CLAIM).read_text()
    ours.release()
    assert not (tmp_path / CLAIM).read_text()


def test_two_states_have_two_names_and_a_shared_database_is_one_on_every_machine(tmp_path: Path) -> None:
    first, second = (StudyState.open(tmp_path / name, Settings()) for name in "ab")
    assert first.name(Settings()) != second.name(Settings())
    shared = Settings(ledger="postgresql+psycopg://host/database")
    assert first.name(shared) != first.name(Settings())
    assert "postgres" not in first.name(shared)


def _of_another_computer(folder: Path, state: str, monkeypatch: pytest.MonkeyPatch) -> Claim:
    """The claim of a server whose locks this computer does not see, as on many network disks."""
    with monkeypatch.context() as there:
        there.setattr(claim, "machine_name", lambda: "elsewhere-1-2")
        there.setattr(claim, "_flock", lambda *_: None)
        return claim_folder(folder, state, folder / "there", renew_s=0.05)


def test_a_server_on_another_computer_is_seen_by_what_it_writes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = _of_another_computer(tmp_path, "one", monkeypatch)
    with pytest.raises(StudyError, match=r"running server on elsewhere has .*there \(one\)"):
        claim_folder(tmp_path, "two", tmp_path, watch_s=5)
    other.release()
    claim_folder(tmp_path, "two", tmp_path, watch_s=60).release()  # which is not watched: the other one said good-bye


def test_a_server_on_another_computer_that_ended_without_a_word_is_watched_and_followed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = _of_another_computer(tmp_path, "one", monkeypatch)
    other._end.set()
    other._thread.join()
    ours = claim_folder(tmp_path, "two", tmp_path, renew_s=0.05, watch_s=0.5)
    assert ours.contested() == ""
    ours.release()


def test_a_disk_without_locks_is_claimed_by_what_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(claim, "_flock", unknown)
    first = claim_folder(tmp_path, "one", tmp_path / "state", renew_s=0.05)
    second = claim_folder(tmp_path, "one", tmp_path / "state", renew_s=0.05)
    with pytest.raises(StudyError, match="conf state"):
        claim_folder(tmp_path, "two", tmp_path, watch_s=5)
    for server in (first, second):
        server.release()


def test_a_server_that_another_state_took_over_from_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ours = claim_folder(tmp_path, "two", tmp_path / "here", renew_s=0.05)
    with monkeypatch.context() as at_once:  # the other one looked before anything was written
        at_once.setattr(claim, "_renewed_elsewhere", lambda *_, **__: False)
        other = _of_another_computer(tmp_path, "one", monkeypatch)
    end = time.monotonic() + 5
    while not ours.contested() and time.monotonic() < end:
        time.sleep(0.01)
    assert "got" in ours.contested()
    assert "here (two)" in ours.contested()
    ours.release()
    time.sleep(0.2)
    assert other.contested() == ""
    assert '"one"' in (tmp_path / CLAIM).read_text()
    other.release()


def test_a_state_in_a_shared_database_is_claimed_for_all_computers(tmp_path: Path) -> None:
    ledger = Ledger.open(tmp_path / "ledger.db", "study of one state")
    other = Ledger.open(tmp_path / "ledger.db", "study of another state")
    first = LedgerClaim(ledger.locks_of("pacs-1"), "one", "http://pacs", renew_s=0.05)
    again = LedgerClaim(other.locks_of("pacs-1"), "one", "http://pacs", renew_s=0.05)
    LedgerClaim(other.locks_of("pacs-2"), "two", "http://other").release()
    with pytest.raises(StudyError, match=r"server with one works on it.*conf state"):
        LedgerClaim(other.locks_of("pacs-1"), "two", "http://pacs")
    again.release()
    time.sleep(0.2)  # the first one takes it again
    with pytest.raises(StudyError):
        LedgerClaim(other.locks_of("pacs-1"), "two", "http://pacs")
    assert first.contested() == ""
    first.release()
    LedgerClaim(other.locks_of("pacs-1"), "two", "http://pacs").release()
