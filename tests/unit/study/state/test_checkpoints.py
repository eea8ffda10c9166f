import errno
import os
import resource
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch

from sequal.errors import CheckpointError, PublishError
from sequal.study.state import file_digest, load_checkpoint, prune, publish, save_checkpoint


def member(weights):
    return {"architecture": {"name": "unet", "kwargs": {"channels": (8, 16)}}, "weights": weights}


def payload(value=1.0, **changes):
    weights = {"conv.weight": torch.full((2, 3), value), "norm.running_mean": torch.zeros(2)}
    return {
        "format": 2,
        "model": "carotid",
        "method": "sequal",
        "members": {
            "teacher": member({key: tensor + 1 for key, tensor in weights.items()}),
            "student": member(weights),
        },
        "meta": {"iterations": 12, "round": 1, "settings": {"epochs": 3}, "created": 1.5},
        **changes,
    }


def large():
    return payload(members={"student": member({"w": torch.zeros(100_000)})})


def first_format(**changes):
    """A checkpoint as the app wrote it before there was a choice of methods."""
    weights = {"conv.weight": torch.ones(2, 3)}
    return {
        "format": 1,
        "architecture": {"name": "unet", "kwargs": {}},
        "student": weights,
        "teacher": {"conv.weight": torch.full((2, 3), 2.0)},
        "meta": {"iterations": 12},
        **changes,
    }


@contextmanager
def disk_of(size):
    """No file can grow beyond `size` bytes, as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_round_trip(tmp_path):
    digest = save_checkpoint(tmp_path / "sub" / "c.pt", payload())
    checkpoint = load_checkpoint(tmp_path / "sub" / "c.pt")
    assert checkpoint.digest == digest == file_digest(tmp_path / "sub" / "c.pt")
    assert (checkpoint.model, checkpoint.method) == ("carotid", "sequal")
    assert checkpoint.members["student"].architecture == {"name": "unet", "kwargs": {"channels": (8, 16)}}
    assert checkpoint.networks == ["unet", "unet"]
    assert checkpoint.meta["settings"] == {"epochs": 3}
    assert checkpoint.query_pair is None
    torch.testing.assert_close(checkpoint.members["student"].weights["conv.weight"], torch.ones(2, 3))
    torch.testing.assert_close(checkpoint.members["teacher"].weights["conv.weight"], torch.full((2, 3), 2.0))
    assert os.listdir(tmp_path / "sub") == ["c.pt"]


def test_query_pair_travels(tmp_path):
    student = payload()["members"]["student"]
    save_checkpoint(tmp_path / "c.pt", payload(query_pair={"reference": student, "other": student}))
    pair = load_checkpoint(tmp_path / "c.pt").query_pair
    torch.testing.assert_close(pair["other"].weights["conv.weight"], torch.ones(2, 3))


def test_same_content_same_digest_under_any_name(tmp_path):
    digests = {save_checkpoint(tmp_path / name, payload()) for name in ("a.pt", "bb.pt")}
    assert len(digests) == 1
    assert save_checkpoint(tmp_path / "a.pt", payload(2.0)) not in digests
    assert len(digests.pop()) == 16


def test_full_disk_leaves_the_old_file_and_no_other(tmp_path):
    path = tmp_path / "published.pt"
    digest = save_checkpoint(path, payload())
    with disk_of(20_000), pytest.raises(PublishError, match="Free space"):
        save_checkpoint(path, large())
    assert os.listdir(tmp_path) == ["published.pt"]
    assert load_checkpoint(path).digest == digest


def test_full_disk_while_publishing(tmp_path):
    published, source = tmp_path / "published.pt", tmp_path / "round.pt"
    digest = save_checkpoint(published, payload())
    save_checkpoint(source, large())
    with disk_of(20_000), pytest.raises(PublishError):
        publish(source, published)
    assert sorted(os.listdir(tmp_path)) == ["published.pt", "round.pt"]
    assert load_checkpoint(published).digest == digest


def test_failed_sync_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "c.pt"
    digest = save_checkpoint(path, payload())

    def full(descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(PublishError, match="No space left"):
        save_checkpoint(path, payload(2.0))
    assert os.listdir(tmp_path) == ["c.pt"]
    assert file_digest(path) == digest


def test_publish_copies_bytes(tmp_path):
    digest = save_checkpoint(tmp_path / "round.pt", payload())
    publish(tmp_path / "round.pt", tmp_path / "published.pt")
    assert file_digest(tmp_path / "published.pt") == digest
    save_checkpoint(tmp_path / "round.pt", payload(3.0))
    assert file_digest(tmp_path / "published.pt") == digest


def test_publishing_what_is_not_there(tmp_path):
    save_checkpoint(tmp_path / "published.pt", payload())
    with pytest.raises(PublishError):
        publish(tmp_path / "missing.pt", tmp_path / "published.pt")
    assert os.listdir(tmp_path) == ["published.pt"]


class Malicious:
    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return os.mkdir, (str(self.marker),)


def test_pickled_code_is_refused_and_not_run(tmp_path):
    torch.save(payload(meta={"x": Malicious(tmp_path / "ran")}), tmp_path / "c.pt")
    with pytest.raises(CheckpointError, match="could run code"):
        load_checkpoint(tmp_path / "c.pt")
    assert not (tmp_path / "ran").exists()


def test_whole_module_is_refused(tmp_path):
    torch.save(torch.nn.Linear(2, 2), tmp_path / "c.pt")
    with pytest.raises(CheckpointError, match="plain tensors"):
        load_checkpoint(tmp_path / "c.pt")


@pytest.mark.parametrize("part", [0.0, 0.01, 0.3, 0.6, 0.9, 0.99])
def test_truncated_file_is_refused(tmp_path, part):
    path = tmp_path / "c.pt"
    save_checkpoint(path, payload())
    content = path.read_bytes()
    path.write_bytes(content[: int(part * len(content))])
    with pytest.raises(CheckpointError, match="damaged"):
        load_checkpoint(path)


@pytest.mark.parametrize("content", [b"hello", b"PK\x03\x04" + b"\0" * 50, bytes(range(256)) * 8, b"\x80\x02}."])
def test_another_kind_of_file_is_refused(tmp_path, content):
    (tmp_path / "c.pt").write_bytes(content)
    with pytest.raises(CheckpointError, match=r"c\.pt"):
        load_checkpoint(tmp_path / "c.pt")


def test_missing_file_and_folder(tmp_path):
    with pytest.raises(CheckpointError, match="got no file"):
        load_checkpoint(tmp_path / "c.pt")
    with pytest.raises(CheckpointError):
        load_checkpoint(tmp_path)


@pytest.mark.parametrize("key", ["format", "model", "method", "members", "meta"])
def test_missing_part_is_named(tmp_path, key):
    content = payload()
    del content[key]
    torch.save(content, tmp_path / "c.pt")
    with pytest.raises(CheckpointError, match=key):
        load_checkpoint(tmp_path / "c.pt")
    with pytest.raises(CheckpointError, match=key):
        save_checkpoint(tmp_path / "d.pt", content)
    assert not (tmp_path / "d.pt").exists()


@pytest.mark.parametrize(
    "changes",
    [
        {"format": 3},
        {"model": 3},
        {"method": None},
        {"members": {}},
        {"members": [member({})]},
        {"members": {"student": {"conv.weight": torch.ones(1)}}},
        {"members": {"student": {"architecture": "unet", "weights": {}}}},
        {"members": {"student": {"architecture": {"name": "unet"}, "weights": {}}}},
        {"members": {"student": member({"conv.weight": "text"})}},
        {"members": {"student": member([torch.ones(1)])}},
        {"query_pair": {"reference": {}}},
        {"query_pair": {"reference": {}, "other": {}}},
        {"meta": 3},
    ],
)
def test_malformed_part_is_refused(tmp_path, changes):
    torch.save(payload(**changes), tmp_path / "c.pt")
    with pytest.raises(CheckpointError, match="Expected"):
        load_checkpoint(tmp_path / "c.pt")


@pytest.mark.parametrize("value", [np.float64(0.5), Path("x"), {1, 2}, torch.device("cpu")])
def test_what_could_not_be_read_again_is_not_written(tmp_path, value):
    digest = save_checkpoint(tmp_path / "c.pt", payload())
    with pytest.raises(CheckpointError, match=r"`meta\.metrics\.0\.dice`"):
        save_checkpoint(tmp_path / "c.pt", payload(meta={"metrics": [{"dice": value}]}))
    assert load_checkpoint(tmp_path / "c.pt").digest == digest


def test_state_dict_alone_is_refused(tmp_path):
    torch.save({"conv.weight": torch.ones(2, 3)}, tmp_path / "c.pt")
    with pytest.raises(CheckpointError, match="without format, model"):
        load_checkpoint(tmp_path / "c.pt")


def test_a_checkpoint_of_the_first_format_is_read_as_one_of_today(tmp_path):
    weights = {"conv.weight": torch.zeros(2, 3)}
    torch.save(first_format(query_pair={"reference": weights, "other": weights}), tmp_path / "c.pt")
    checkpoint = load_checkpoint(tmp_path / "c.pt")
    assert (checkpoint.model, checkpoint.method, checkpoint.meta) == ("carotid", "sequal", {"iterations": 12})
    assert {name: float(kept.weights["conv.weight"][0, 0]) for name, kept in checkpoint.members.items()} == {
        "teacher": 2.0,
        "student": 1.0,
    }
    assert checkpoint.networks == ["unet", "unet"]
    assert checkpoint.query_pair["other"].architecture == {"name": "unet", "kwargs": {}}


@pytest.mark.parametrize("key", ["architecture", "student", "teacher", "meta"])
def test_a_part_that_is_missing_in_the_first_format_is_named(tmp_path, key):
    content = first_format()
    del content[key]
    torch.save(content, tmp_path / "c.pt")
    with pytest.raises(CheckpointError, match=key):
        load_checkpoint(tmp_path / "c.pt")


@pytest.mark.parametrize(
    "changes",
    [
        {"architecture": "unet"},
        {"student": {"conv.weight": "text"}},
        {"query_pair": {"reference": {}}},
        {"query_pair": []},
        {"meta": 3},
    ],
)
def test_a_malformed_part_in_the_first_format_is_refused(tmp_path, changes):
    torch.save(first_format(**changes), tmp_path / "c.pt")
    with pytest.raises(CheckpointError, match="Expected"):
        load_checkpoint(tmp_path / "c.pt")


def test_prune_keeps_the_newest_and_the_protected(tmp_path):
    for number in range(1, 6):
        path = tmp_path / f"round-{number}.pt"
        path.write_bytes(b"x")
        os.utime(path, (number, number))
    (tmp_path / "notes.txt").write_text("stays")
    deleted = prune(tmp_path, 2, [tmp_path / "round-1.pt"])
    assert [path.name for path in deleted] == ["round-2.pt", "round-3.pt"]
    assert sorted(os.listdir(tmp_path)) == ["notes.txt", "round-1.pt", "round-4.pt", "round-5.pt"]
    assert prune(tmp_path, 2, [tmp_path / "round-1.pt"]) == []
