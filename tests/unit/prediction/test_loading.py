import pickle

import pytest
import torch

from sequal.errors import CheckpointError
from sequal.learning.networks import Architecture, create_network
from sequal.prediction import load_pair
from sequal.study.state import file_digest

CPU = torch.device("cpu")


def test_a_checkpoint_comes_back_whole(tmp_path, write_checkpoint):
    digest = write_checkpoint(tmp_path / "c.pt")
    loaded = load_pair(tmp_path / "c.pt", CPU, alpha_max=0.7)
    assert loaded.digest == digest == file_digest(tmp_path / "c.pt")
    assert loaded.pair.updates == 5
    assert loaded.pair.alpha_max == 0.7
    assert loaded.reference is loaded.pair.teacher
    assert loaded.other is loaded.pair.student
    assert loaded.meta["round"] == 1
    assert not loaded.pair.training
    with torch.random.fork_rng():
        torch.manual_seed(1)
        teacher = create_network(Architecture("unet")).eval()
    x = torch.rand(1, 1, 32, 32)
    torch.testing.assert_close(loaded.pair.teacher(x), teacher(x))


def test_a_query_pair_replaces_what_pld_compares_and_nothing_else(loaded, loaded_with_query_pair):
    x = torch.rand(1, 1, 32, 32)
    torch.testing.assert_close(loaded_with_query_pair.pair(x), loaded.pair(x))
    assert loaded_with_query_pair.reference is not loaded_with_query_pair.pair.teacher
    assert not torch.allclose(loaded_with_query_pair.reference(x), loaded.pair.teacher(x))
    assert not torch.allclose(loaded_with_query_pair.other(x), loaded_with_query_pair.reference(x))


@pytest.mark.parametrize(
    ("meta", "surroundings"),
    [
        ({"round": 0}, None),
        ({}, None),
        ({"round": 2}, {}),
        ({"round": 2, "surroundings": {"uneven_lumen": 0.3}}, {"uneven_lumen": 0.3}),
    ],
)
def test_a_round_notes_the_surroundings_and_starting_weights_have_none(tmp_path, write_checkpoint, meta, surroundings):
    write_checkpoint(tmp_path / "c.pt", meta=meta)
    assert load_pair(tmp_path / "c.pt", CPU).surroundings == surroundings


def test_another_architecture(tmp_path, write_checkpoint):
    write_checkpoint(tmp_path / "c.pt", members=_members("resnet"))
    with pytest.raises(CheckpointError, match=r"one of \[.*'unet'.*got 'resnet'"):
        load_pair(tmp_path / "c.pt", CPU)


def _members(name):
    member = {"architecture": {"name": name, "kwargs": {}}, "weights": {"w": torch.zeros(3)}}
    return {"teacher": member, "student": member}


@pytest.mark.parametrize(
    "changes",
    [
        {"members": _members("segresnet")},
        {"members": _members("unet")},
        {"meta": {"iterations": "many"}},
        {"members": _members(["unet"])},
    ],
)
def test_weights_that_do_not_fit(tmp_path, write_checkpoint, changes):
    write_checkpoint(tmp_path / "c.pt", **changes)
    with pytest.raises(CheckpointError) as raised:
        load_pair(tmp_path / "c.pt", CPU)
    message = str(raised.value)
    assert "c.pt" in message
    assert "to fit the architecture" in message
    # torch lists every tensor; a message is for people.
    assert len(message) < 500


@pytest.mark.parametrize(
    "changes", [{"method": "another"}, {"members": {"first": _members("unet")["teacher"]}}, {"method": "cross"}]
)
def test_a_method_or_networks_that_the_app_does_not_have(tmp_path, write_checkpoint, changes):
    write_checkpoint(tmp_path / "c.pt", **changes)
    with pytest.raises(CheckpointError, match=r"c\.pt to be of the method sequal or cross, got"):
        load_pair(tmp_path / "c.pt", CPU)


def test_pickled_code_is_not_run(tmp_path):
    class Bomb:
        def __reduce__(self):
            return (open, (str(tmp_path / "ran"), "w"))

    torch.save({"format": 1, "student": Bomb()}, tmp_path / "c.pt")
    with pytest.raises(CheckpointError, match="could run code"):
        load_pair(tmp_path / "c.pt", CPU)
    (tmp_path / "d.pt").write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(CheckpointError):
        load_pair(tmp_path / "d.pt", CPU)
    assert not (tmp_path / "ran").exists()


def test_damaged_and_missing_files(tmp_path, write_checkpoint):
    write_checkpoint(tmp_path / "c.pt")
    (tmp_path / "half.pt").write_bytes((tmp_path / "c.pt").read_bytes()[:5000])
    for name in ("half.pt", "missing.pt"):
        with pytest.raises(CheckpointError, match=name):
            load_pair(tmp_path / name, CPU)
