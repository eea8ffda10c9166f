import pytest

from integration.data import FRAMES, LABELLED
from integration.server import Server
from sequal.settings import STRATEGY_NAMES, Settings

pytestmark = [pytest.mark.server, pytest.mark.timeout(180)]


def test_info_names_model_labels_and_strategies(server: Server) -> None:
    info = server.client().info()
    assert list(info["models"]) == ["carotid", "carotid_contours", "carotid_review"]
    assert info["models"]["carotid"]["labels"] == {"intima-media": 1}
    assert info["labels"] == ["intima-media"]
    assert list(info["trainers"]) == ["carotid"]
    assert list(info["scoring"]) == ["pld", "sqa"]
    assert next(iter(info["strategies"])) == Settings().strategy
    assert set(info["strategies"]) == set(STRATEGY_NAMES)
    assert set(info["train_stats"]) == {"carotid"}


def test_info_counts_images_and_labels(server: Server) -> None:
    store = server.client().info()["datastore"]
    assert store["total"] >= len(FRAMES)
    assert store["completed"] >= len(LABELLED)


def test_the_trainer_advertises_what_a_request_may_change(server: Server) -> None:
    config = server.client().info()["trainers"]["carotid"]["config"]
    assert config["epochs"] == 6
    assert "state" not in config
    assert "network" not in config
