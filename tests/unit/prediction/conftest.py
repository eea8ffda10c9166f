import pytest
import torch

from sequal.learning.networks import Architecture, create_network
from sequal.prediction import load_pair
from sequal.study.state import save_checkpoint

CPU = torch.device("cpu")


@pytest.fixture(scope="session")
def write_checkpoint():
    """Write a checkpoint of a random pair whose networks differ."""

    def write(path, seed=0, query_seeds=None, **changes):
        def member(seed):
            with torch.random.fork_rng():
                torch.manual_seed(seed)
                network = create_network(Architecture("unet"))
            return {"architecture": {"name": "unet", "kwargs": {}}, "weights": network.state_dict()}

        payload = {
            "format": 2,
            "model": "carotid",
            "method": "sequal",
            "members": {"teacher": member(seed + 1), "student": member(seed)},
            "meta": {"iterations": 5, "round": 1},
        }
        if query_seeds is not None:
            payload["query_pair"] = {"reference": member(query_seeds[0]), "other": member(query_seeds[1])}
        return save_checkpoint(path, {**payload, **changes})

    return write


@pytest.fixture(scope="session")
def loaded(tmp_path_factory, write_checkpoint):
    path = tmp_path_factory.mktemp("checkpoint") / "c.pt"
    write_checkpoint(path)
    return load_pair(path, CPU)


@pytest.fixture(scope="session")
def loaded_with_query_pair(tmp_path_factory, write_checkpoint):
    path = tmp_path_factory.mktemp("checkpoint") / "q.pt"
    write_checkpoint(path, query_seeds=(10, 11))
    return load_pair(path, CPU)
