import os
import threading

import pytest

from sequal.study.state.atomic import atomic_write, create_once, remove_abandoned


def test_new_content_appears_at_the_end(tmp_path):
    path = tmp_path / "f"
    path.write_bytes(b"old")
    with atomic_write(path) as file:
        file.write(b"new")
        assert path.read_bytes() == b"old"
    assert path.read_bytes() == b"new"
    assert os.listdir(tmp_path) == ["f"]


def test_error_inside_leaves_the_old_content(tmp_path):
    path = tmp_path / "f"
    path.write_bytes(b"old")

    def write_half():
        with atomic_write(path) as file:
            file.write(b"half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        write_half()
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["f"]


def test_mode_follows_the_umask(tmp_path):
    (tmp_path / "plain").write_bytes(b"")
    with atomic_write(tmp_path / "f") as file:
        file.write(b"x")
    assert (tmp_path / "f").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_created_once(tmp_path):
    assert create_once(tmp_path / "f", b"first") == b"first"
    assert create_once(tmp_path / "f", b"second") == b"first"
    assert os.listdir(tmp_path) == ["f"]


def test_all_who_create_at_once_read_the_same(tmp_path):
    read = []
    threads = [
        threading.Thread(target=lambda n=n: read.append(create_once(tmp_path / "f", b"%d" % n))) for n in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(read) == 8
    assert len(set(read)) == 1


def test_file_system_without_hard_links(tmp_path, monkeypatch):
    def refuse(source, target):
        raise PermissionError("no links here")

    monkeypatch.setattr(os, "link", refuse)
    assert create_once(tmp_path / "f", b"first") == b"first"
    assert create_once(tmp_path / "f", b"second") == b"first"
    assert os.listdir(tmp_path) == ["f"]


def test_what_a_killed_process_left_is_removed_but_not_what_is_being_written(tmp_path):
    for name, age in ((".old.tmp", 100_000), (".new.tmp", 10), ("published.pt", 100_000)):
        (tmp_path / name).write_bytes(b"x")
        os.utime(tmp_path / name, (1e6 - age, 1e6 - age))
    remove_abandoned(tmp_path, now=1e6)
    assert sorted(os.listdir(tmp_path)) == [".new.tmp", "published.pt"]
