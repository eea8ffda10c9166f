import subprocess
import sys
from pathlib import Path

import pytest

from lib.errors import StudyError
from lib.settings import Settings
from lib.state import StudyState, claim_study
from lib.state.claim import CLAIM

APP = str(Path(__file__).parents[3] / "apps" / "sequal")


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
        "import sys; sys.path.insert(0, sys.argv[1]); from pathlib import Path; from lib.state import claim_study; "
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
