"""Two processes that torchrun starts give what one gives."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.distributed as dist

from sequal.distributed import alone, together
from sequal.distributed.processes import check_gpus, sharing
from sequal.errors import SettingsError
from unit.commands.studies import random_checkpoint
from unit.distributed import scenarios
from unit.experiments.miniature import make_images
from unit.synthetic_study import band, write_image

ROOT, SCRIPT = Path(__file__).parents[3], scenarios.__file__


@pytest.fixture(autouse=True)
def _one_thread():
    """As each of the two has: another number of threads adds in another order."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Images of two sizes, one that cannot be read, and a checkpoint."""
    folder, rng = tmp_path_factory.mktemp("distributed"), np.random.default_rng(0)
    make_images(folder)
    (folder / "pool").mkdir()
    for number in range(11):
        size = (64, 96) if number in (4, 5) else (96, 64)
        write_image(folder / "pool" / f"im{number:02d}.nii.gz", band(rng, size)[0])
    (folder / "pool" / "im07.nii.gz").write_bytes(b"no image")
    random_checkpoint(folder / "checkpoint.pt")
    return folder


@pytest.fixture(scope="module")
def two(folder):
    """How two processes ended, and what they found before."""
    paths = os.pathsep.join([str(ROOT / "apps" / "sequal"), str(ROOT / "tests")])
    ended = subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", SCRIPT, str(folder)],
        env={**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert (folder / "of_two.pt").exists(), ended.stderr
    return ended, torch.load(folder / "of_two.pt")


@pytest.mark.parametrize("name", scenarios.TRAININGS)
def test_a_training_of_two_processes_is_that_of_one(two, name):
    one, two = scenarios.train(**scenarios.TRAININGS[name]), two[1][name]
    assert len(one["outputs"]) == 3
    for of_one, of_two in zip(one["outputs"], two["outputs"], strict=True):
        for counted in ("intersection", "union"):
            assert of_two.pop(counted) == pytest.approx(of_one.pop(counted), abs=6)
        assert of_two == pytest.approx(of_one, rel=1e-4, abs=1e-4)
    torch.testing.assert_close(two["said"], one["said"], rtol=0, atol=1e-4)
    for member, weights in one["weights"].items():
        for key, value in weights.items():
            torch.testing.assert_close(two["weights"][member][key], value, rtol=1e-4, atol=1e-4)


def test_what_the_first_process_does_by_itself_needs_no_other(two):
    assert two[1]["apart"].tolist() == [1.0] * 4


def test_a_scoring_of_two_processes_is_that_of_one(two, folder):
    one, two = scenarios.score(folder), two[1]["scores"]
    assert len(one["scores"]) == 10
    assert two["order"] == one["order"] == sorted(one["scores"])
    assert two["unreadable"] == one["unreadable"]
    assert list(one["unreadable"]) == ["im07"]
    for image, scores in one["scores"].items():
        assert two["scores"][image] == pytest.approx(scores, rel=1e-4, abs=1e-6, nan_ok=True)


def test_an_experiment_of_two_processes_is_that_of_one(two, folder):
    one, two = scenarios.simulate(folder, "of_one"), two[1]["experiment"]
    assert list(two) == list(one) == ["cells/entropy-on-s0/round-01.json"]
    (one,), (two,) = one.values(), two.values()
    for ranked in ("queried", "last_ranked"):
        assert [query["id"] for query in two[ranked]] == [query["id"] for query in one[ranked]]
        assert [q["score"] for q in two[ranked]] == pytest.approx([q["score"] for q in one[ranked]], rel=1e-4, abs=1e-4)
    assert two["training"]["trained_on"] == one["training"]["trained_on"]
    pool = [record["instrument"]["pool_error"] for record in (one, two)]
    assert pool[1] == pytest.approx(pool[0], abs=0.05)
    for image, same in zip(two["test"]["images"], one["test"]["images"], strict=True):
        assert image["id"] == same["id"]
        assert image["dice"] == pytest.approx(same["dice"], abs=0.05)


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (
            RuntimeError("[gloo/transport/tcp/pair.cc:553] Connection closed by peer"),
            "one that has ended",
        ),
        (RuntimeError("mat1 and mat2 cannot be multiplied"), "cannot be multiplied"),
    ],
)
def test_after_an_error_the_first_process_is_alone_and_says_what_ended_it(error, told):
    dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
    assert not alone()
    assert not sharing()

    def work():
        with together(print):
            assert sharing()
            raise error

    with pytest.raises(Exception, match=told):
        work()
    assert alone()
    assert not sharing()


def test_more_processes_than_gpus_are_refused():
    check_gpus(2, 2)
    with pytest.raises(SettingsError, match=r"at most 2 processes .* got 3\. Start fewer"):
        check_gpus(3, 2)


def test_an_error_in_one_process_ends_all_and_says_so(two):
    ended, _ = two
    assert ended.returncode != 0
    assert "process 1 of this run has ended" in ended.stderr
    assert "no memory left" in ended.stderr
