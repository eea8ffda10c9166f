import os

import pytest

from sequal.study.state import KeptFile


def test_a_file_is_read_again_only_when_it_changes(tmp_path):
    path, read = tmp_path / "file", []
    kept = KeptFile(path, lambda file: read.append(file) or (file.read_text() if file.exists() else "absent"))
    assert [kept.get()[0] for _ in range(3)] == ["absent"] * 3
    path.write_text("one")
    assert [kept.get()[0] for _ in range(3)] == ["one"] * 3
    (tmp_path / "new").write_text("two")
    os.replace(tmp_path / "new", path)
    assert [kept.get()[0] for _ in range(3)] == ["two"] * 3
    assert len(read) == 3
    versions = {kept.get()[1] for _ in range(3)}
    path.unlink()
    assert kept.get()[0] == "absent"
    assert kept.get()[1] not in versions


def test_what_cannot_be_read_is_tried_again(tmp_path):
    path = tmp_path / "file"
    path.write_text("no number")
    kept = KeptFile(path, lambda file: int(file.read_text()))
    for _ in range(2):
        with pytest.raises(ValueError, match="invalid literal"):
            kept.get()
    path.write_text("7")
    assert kept.get()[0] == 7
