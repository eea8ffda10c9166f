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
    studies = make_study(tmp_path / "study")
    ended = subprocess.run(
        command(studies, free_port(), {"state": tmp_path / "state", key: value}),
        cwd=REPOSITORY,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=START_S,
        check=False,
    )
    assert ended.returncode != 0
    for word in words:
        assert word in ended.stdout + ended.stderr
    assert not (tmp_path / "state").exists()
