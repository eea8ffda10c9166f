"""The short form of `benchmarks/robustness`: a real server answers whatever it is sent, and loses nothing."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from integration.server import REPOSITORY, environment

pytestmark = [pytest.mark.server, pytest.mark.timeout(900)]


def test_nothing_that_is_sent_brings_the_server_down_or_costs_a_label(tmp_path: Path) -> None:
    out = tmp_path / "result.json"
    run = [sys.executable, str(REPOSITORY / "benchmarks" / "robustness" / "run.py")]
    ended = subprocess.run(
        [*run, "--mutations", "2", "--seed", "11", "--out", str(out)],
        cwd=REPOSITORY,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=880,
        check=False,
    )
    assert out.exists(), ended.stderr[-3000:]
    result = json.loads(out.read_text())
    assert result["requests"] > 600
    assert result["failed"] == []
    assert result["lost_labels"] == []
    assert ended.returncode == 0, result
