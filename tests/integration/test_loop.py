"""The whole loop on the sample data: asked, segmented, corrected, submitted, trained, asked again, restarted."""

import shutil
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from integration.server import APP, QUICK, REPOSITORY, Server, running
from sequal.settings import Settings
from sequal.study.state import Ledger, Split, StudyState, file_digest

pytestmark = [pytest.mark.server, pytest.mark.timeout(400)]

SAMPLE_DATA = REPOSITORY / "sample-data"
STARTING_WEIGHTS = APP / "model" / "pretrained_carotid.pt"
STATS = {
    "best_metric",
    "epoch",
    "total_epochs",
    "total_time",
    "round",
    "published",
    "published_reason",
    "judged",
    "refinement",
}


def _copy(folder: Path) -> Path:
    shutil.copytree(SAMPLE_DATA, folder, ignore=shutil.ignore_patterns("datastore_v2*", ".lock", "truth"))
    return folder


def _ledger(server: Server) -> Ledger:
    return StudyState.open(server.state, Settings()).ledger


def _asks_for_the_highest_score(server: Server, digest: str, client: str) -> str:
    """Ask by PLD; the image, which must be the highest scored one that is free."""
    objects = server.client().datastore()["objects"]
    unlabelled = {image for image, entry in objects.items() if "final" not in entry["labels"]}
    closed = Split.load(StudyState.open(server.state, Settings()).split_file).patients
    leased = _ledger(server).leased()
    scores = _ledger(server).scores(digest, "pld")
    assert set(scores) >= unlabelled
    patients = dict(line.split(",") for line in (server.studies / "patients.csv").read_text().split()[1:])
    free = {image: scores[image] for image in unlabelled - leased.keys() if patients[image] not in closed}
    asked = server.client(client).next_sample("pld", {})
    assert asked["id"] == max(free, key=lambda image: free[image])
    assert asked["score"] == pytest.approx(free[asked["id"]])
    return str(asked["id"])


def test_the_loop_runs_end_to_end_and_survives_a_restart(tmp_path: Path) -> None:
    studies, state = _copy(tmp_path / "study"), tmp_path / "state"
    with running(studies, state) as server:
        client = server.client("anna")
        before = client.info()["datastore"]
        assert (before["total"], before["completed"]) == (48, 8)

        # The starting weights score the pool by themselves.
        assert server.finished("scoring")["status"] == "DONE"
        starting = file_digest(STARTING_WEIGHTS)
        image = _asks_for_the_highest_score(server, starting, "anna")

        file, params = client.infer("carotid", image, {})
        mask, frame = nib.load(file), nib.load(studies / f"{image}.nii.gz")
        assert mask.shape == frame.shape
        np.testing.assert_allclose(mask.affine, frame.affine, atol=1e-5)
        assert 0.2 < params["imt"]["mean_mm"] < 2.5

        client.save_label(image, file, params={"note": "accepted"})
        assert client.info()["datastore"]["completed"] == 9
        np.testing.assert_array_equal(server.stored_label(image), np.asanyarray(mask.dataobj))

        labels = server.labels()
        assert server.train()["status"] == "DONE"
        stats = server.stats()
        assert set(stats) >= {*STATS, "pld"}
        assert (stats["epoch"], stats["total_epochs"], stats["round"], stats["published"]) == (1, 1, 1, True)
        assert set(stats["refinement"]) >= {"epoch", "images", "pixels_changed"}
        assert set(stats["pld"]) == {"scored", "mean", "max"}
        assert stats["pld"]["scored"] == 39
        assert server.labels() == labels

        digest = file_digest(server.published)
        assert digest != starting
        _asks_for_the_highest_score(server, digest, "anna")
        _asks_for_the_highest_score(server, digest, "ben")
        # The round has scored the pool: nothing was stale, so nothing else was started.
        assert len(server.tasks("scoring")) == 1
        scores, rounds, leased = (
            _ledger(server).scores(digest, "pld"),
            _ledger(server).rounds(),
            _ledger(server).leased(),
        )
        store, published = client.datastore()["objects"], server.published.read_bytes()

    with running(studies, state) as server:
        client = server.client("anna")
        assert client.datastore()["objects"] == store
        assert store[image]["labels"]["final"]["info"]["note"] == "accepted"
        assert server.labels() == labels
        assert server.published.read_bytes() == published
        assert _ledger(server).scores(digest, "pld") == scores
        assert _ledger(server).rounds() == rounds
        assert _ledger(server).leased() == leased
        assert server.stats() == stats
        assert server.tasks("scoring") == []

        # OHIF's "Update Model" names no model.
        reply = server.request("POST", "/train/", json={"carotid": QUICK})
        assert reply.status_code == 200
        assert server.finished("train")["status"] == "DONE"
        assert server.stats()["round"] == 2
        assert server.stats()["total_epochs"] == 1
