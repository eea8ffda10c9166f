import os
import threading
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest
import torch

from sequal.errors import CheckpointError
from sequal.prediction import ServedModel, check_serves, serving
from sequal.settings import Settings
from sequal.study.state import file_digest, publish

CPU = torch.device("cpu")


@pytest.fixture
def places(tmp_path):
    return tmp_path / "published.pt", tmp_path / "start.pt"


def test_without_a_model(places):
    served = ServedModel(*places, CPU)
    assert served.path is None
    assert served.digest is None
    with pytest.raises(CheckpointError, match=r"published\.pt.*start\.pt.*pretrain"):
        served.load()


def test_starting_weights_until_something_is_published(places, write_checkpoint, tmp_path):
    published, start = places
    served = ServedModel(published, start, CPU)
    first = write_checkpoint(start, seed=0)
    assert (served.digest, served.load().digest, served.path) == (first, first, start)
    second = write_checkpoint(tmp_path / "round.pt", seed=5)
    publish(tmp_path / "round.pt", published)
    assert (served.digest, served.load().digest, served.path) == (second, second, published)


def test_a_new_published_file_of_equal_size_and_time_is_noticed(places, write_checkpoint, tmp_path):
    published, start = places
    served = ServedModel(published, start, CPU)
    for seed in (1, 7):
        digest = write_checkpoint(tmp_path / "round.pt", seed=seed)
        publish(tmp_path / "round.pt", published)
        # A file system with coarse times: only that it is another file tells them apart.
        os.utime(published, (1_700_000_000, 1_700_000_000))
        assert served.digest == digest == file_digest(published)
        assert served.load().digest == digest


def test_it_is_loaded_once(places, write_checkpoint, monkeypatch):
    write_checkpoint(places[1])
    loads = []
    real = serving.load_pair
    monkeypatch.setattr(serving, "load_pair", lambda *args: loads.append(1) or real(*args))
    served = ServedModel(*places, CPU)
    assert served.load() is served.load()
    assert len(loads) == 1


def test_many_threads_get_one_model_and_equal_answers(places, write_checkpoint):
    write_checkpoint(places[1])
    served = ServedModel(*places, CPU)
    barrier = threading.Barrier(6)
    x = torch.rand(1, 1, 32, 32)

    def answer(_):
        barrier.wait(timeout=30)
        loaded = served.load()
        with torch.inference_mode():
            return loaded, loaded.pair.teacher(x), served.digest

    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(answer, range(6)))
    assert len({id(loaded) for loaded, _, _ in answers}) == 1
    assert len({digest for _, _, digest in answers}) == 1
    assert all(torch.equal(first, answers[0][1]) for _, first, _ in answers)


def test_a_damaged_published_checkpoint_is_told_not_hidden(places, write_checkpoint):
    write_checkpoint(places[1])
    places[0].write_bytes(b"half a file")
    with pytest.raises(CheckpointError, match=r"published\.pt"):
        ServedModel(*places, CPU).load()


def test_a_checkpoint_of_another_model_makes_no_masks(places, write_checkpoint, tmp_path):
    """Its masks would have the names of other structures."""
    published, start = places
    write_checkpoint(start)
    settings = Settings(models="volume", labels="liver")
    served = ServedModel(published, start, CPU, check=partial(check_serves, settings=settings, name="the model"))
    for _ in range(2):  # it is not kept either
        with pytest.raises(CheckpointError, match=r"of the models 'volume', got 'carotid'\. Set `models` to carotid"):
            served.load()
    assert served.path == start
