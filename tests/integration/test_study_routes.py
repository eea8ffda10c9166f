"""What the app answers below `/sequal/`, on a real server."""

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

import cli
from integration.data import HEIGHT, LABELLED, WIDTH, label_of, save_nifti
from integration.server import Server, wait_for
from sequal.settings import Settings
from sequal.study.state import StudyState

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


def test_the_command_line_shows_how_the_study_of_a_running_server_stands(server: Server) -> None:
    reply = server.request("GET", "/sequal/status", params={"strategy": "random"}).json()
    assert reply["images"] == len(server.client().datastore()["objects"])
    assert reply["labelled"] >= len(LABELLED)
    assert reply["in_service"] == "of another study"
    assert reply["checkpoint"] == "published.pt"
    assert reply["strategy"] == "random"
    assert len(reply["next"]) == min(10, reply["images"] - reply["labelled"] - len(reply["leases"]))
    assert str(server.state) not in str(reply)
    assert server.request("GET", "/sequal/status", params={"strategy": "psychic"}).status_code == 404

    shown = CliRunner().invoke(cli.app, ["status", server.url])
    assert shown.exit_code == 0, shown.output
    words = " ".join(shown.stdout.replace("│", " ").split())
    assert f"images {reply['images']}" in words
    assert f"labelled {reply['labelled']}" in words
    refused = CliRunner().invoke(cli.app, ["status", server.url, "seed=1"])
    assert refused.exit_code == 2
    assert "leave them out" in " ".join(refused.stderr.split())


def test_a_submitted_label_judges_the_mask_of_the_model_in_service(server: Server, tmp_path: Path) -> None:
    server.save_label(IMAGE, save_nifti(tmp_path / "label.nii.gz", label_of(IMAGE)))

    def judged() -> dict[str, Any] | None:
        trust = server.request("GET", "/sequal/status").json()["trust"]
        return next((one for one in trust["checks"] if one["image"] == IMAGE), None)

    check = wait_for("the check of the label", judged)
    assert 0 <= check["dice"] <= 1
    assert check["age"] == 0
    assert check["sizes"][0]["unit"] == "mm"
    assert check["patient"] == "p01"


def test_measure_asks_the_running_server_for_every_image(server: Server, tmp_path: Path) -> None:
    done = CliRunner().invoke(cli.app, ["measure", "--studies", server.url, "--out", str(tmp_path), "--no-overlays"])
    assert done.exit_code == 0, done.output
    with (tmp_path / "frames.csv").open(newline="") as file:
        rows = {row["image"]: row for row in csv.DictReader(file) if row["frame"] == "0"}
    assert rows.keys() == server.client().datastore()["objects"].keys()
    _, params = server.client().infer("carotid", IMAGE, {"result_extension": ".nii.gz"})
    assert float(rows[IMAGE]["imt_mean_mm"]) == pytest.approx(params["imt"]["mean_mm"], rel=1e-5)
    assert rows[IMAGE]["patient"] == "p01", "as `patients.csv` of the study says"
    assert float(rows[IMAGE]["image_pld"]) == pytest.approx(params["pld"], rel=1e-5)
