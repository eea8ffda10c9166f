from pathlib import Path

import numpy as np
import pytest
from monailabel.client.client import MONAILabelClientException

from integration.conftest import CLIP_FRAMES
from integration.data import frame, save_nifti
from integration.server import Server
from sequal.settings import STRATEGY_NAMES, Settings
from sequal.study.state import StudyState

pytestmark = [pytest.mark.server, pytest.mark.timeout(180)]


def _leased(server: Server) -> dict[str, str]:
    return StudyState.open(server.state, Settings()).ledger.leased()


def test_two_annotators_get_different_images(server: Server) -> None:
    first = server.client("anna").next_sample("pld", {})
    second = server.client("ben").next_sample("pld", {})
    assert first["id"] != second["id"]
    assert _leased(server)[first["id"]] == "anna"
    assert _leased(server)[second["id"]] == "ben"
    assert first["reason"]
    assert Path(first["path"]).parent == server.studies
    assert Path(first["path"]).name.startswith(first["id"])


def test_asking_again_gives_another_image(server: Server) -> None:
    client = server.client("carla")
    assert client.next_sample("random", {})["id"] != client.next_sample("random", {})["id"]


def test_submitting_ends_the_lease_and_the_image_is_not_asked_for_again(server: Server, tmp_path: Path) -> None:
    client = server.client("dora")
    image = client.next_sample("random", {})["id"]
    assert _leased(server)[image] == "dora"
    frames = CLIP_FRAMES if image == "clip" else 1
    label = np.repeat(frame(100)[1][:, :, None], frames, axis=2)
    client.save_label(image, str(save_nifti(tmp_path / "label.nii.gz", label)))
    assert image not in _leased(server)
    assert client.next_sample("random", {})["id"] != image
    assert image in server.client().datastore()["objects"]


@pytest.mark.parametrize("strategy", STRATEGY_NAMES)
def test_every_strategy_answers(server: Server, strategy: str) -> None:
    reply = server.client("eva").next_sample(strategy, {})
    assert reply["id"]
    assert reply["reason"]


def test_an_unknown_strategy_is_named_in_the_answer(server: Server) -> None:
    with pytest.raises(MONAILabelClientException) as caught:
        server.client().next_sample("entropi", {})
    assert caught.value.status_code == 404
    assert "entropi" in caught.value.msg
    assert "least_confidence" in caught.value.msg
