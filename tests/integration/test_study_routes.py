"""What the app answers below `/sequal/`, on a real server."""

from pathlib import Path

import numpy as np
import pytest

from integration.data import HEIGHT, WIDTH, label_of, save_nifti
from integration.server import Server
from lib.settings import Settings
from lib.state import StudyState

pytestmark = [pytest.mark.server, pytest.mark.timeout(180)]

IMAGE = "p01_left"


def test_a_skipped_image_is_not_the_next_sample_of_anybody(server: Server) -> None:
    image = server.client("anna").next_sample("random", {})["id"]
    told = {"client_id": "anna", "reason": "a transverse cut"}
    assert server.request("POST", "/sequal/skip", params={"image": image}, json=told).json()["reason"] == told["reason"]
    asked = set()
    for name in (f"reader {number}" for number in range(50)):
        sample = server.client(name).next_sample("random", {})
        if not sample:
            break
        asked.add(sample["id"])
    assert image not in asked
    assert server.request("DELETE", "/sequal/skip", params={"image": image}).status_code == 200
    assert server.client("last").next_sample("random", {})["id"] == image
    assert server.request("POST", "/sequal/skip", params={"image": "nobody"}).status_code == 404
    ledger = StudyState.open(server.state, Settings()).ledger
    for leased in (image, *asked):
        ledger.release(leased)


def test_what_is_drawn_is_measured_and_nothing_is_stored(server: Server, tmp_path: Path) -> None:
    before = server.labels()
    label = np.zeros((WIDTH, HEIGHT), np.uint8)
    label[:, 30:40] = 1
    with save_nifti(tmp_path / "label.nii.gz", label).open("rb") as stream:
        files = {"label": ("label.nii.gz", stream)}
        reply = server.request("POST", "/sequal/measurement", params={"image": IMAGE}, files=files)
    assert reply.status_code == 200, reply.text
    imt = reply.json()["imt"]
    assert imt["columns"] == WIDTH
    assert imt["mean_mm"] == pytest.approx(imt["max_mm"])
    assert server.labels() == before

    server.save_label(IMAGE, save_nifti(tmp_path / "label.nii.gz", label_of(IMAGE)))
    stored = server.request("GET", "/sequal/measurement", params={"image": IMAGE, "of": "label"}).json()["imt"]
    assert stored["columns"] == int(label_of(IMAGE).any(axis=1).sum())
