import subprocess
from pathlib import Path

import pytest

from integration.data import make_study
from integration.server import REPOSITORY, START_S, command, environment, free_port

pytestmark = [pytest.mark.server, pytest.mark.timeout(180)]


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("epoch", "3", ["Expected `epoch` to be a setting", "Did you mean `epochs`?"]),
        ("fusion_lambda", "2", ["Expected `fusion_lambda` to be a number, at least 0.5 and at most 1", "got '2'"]),
    ],
)
def test_a_wrong_setting_stops_the_start_with_key_rule_and_value(
    tmp_path: Path, key: str, value: str, words: list[str]
) -> None:
    said = _failed_start(make_study(tmp_path / "study"), {"state": tmp_path / "state", key: value})
    for word in words:
        assert word in said
    assert not (tmp_path / "state").exists()


@pytest.mark.parametrize("with_state", [True, False])
def test_a_malformed_address_stops_the_start_with_the_cure(tmp_path: Path, with_state: bool) -> None:
    said = _failed_start("http://[x", {"state": tmp_path / "state"} if with_state else {})
    assert (
        "StudyError: Expected `--studies` to be a folder or the address of a DICOMweb service, got 'http://[x'" in said
    )
    assert "Write for example http://127.0.0.1:8042/dicom-web." in said


def _failed_start(studies: Path | str, conf: dict[str, object]) -> str:
    """Everything that a server says which does not start."""
    ended = subprocess.run(
        command(studies, free_port(), conf),
        cwd=REPOSITORY,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=START_S,
        check=False,
    )
    assert ended.returncode != 0
    return ended.stdout + ended.stderr
