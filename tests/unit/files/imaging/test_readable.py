from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sequal.files.imaging.readable import ReadableFiles


def test_a_file_is_read_once_and_again_when_it_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    good, bad = tmp_path / "good.png", tmp_path / "bad.png"
    Image.fromarray(np.zeros((4, 5), np.uint8)).save(good)
    bad.write_bytes(b"no picture")
    files = ReadableFiles()
    assert files.problem(good) == ""
    assert "bad.png" in files.problem(bad)
    with monkeypatch.context() as blind:
        blind.setattr("sequal.files.imaging.readable.read_frame", lambda _: pytest.fail("read again"))
        assert files.problem(good) == ""
        assert "bad.png" in files.problem(bad)
    bad.write_bytes(good.read_bytes())
    assert files.problem(bad) == ""
