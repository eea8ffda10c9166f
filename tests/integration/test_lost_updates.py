import shutil
from pathlib import Path
from typing import Any

import pytest

from integration.data import FRAMES, LABELLED, UNLABELLED, frame, label_of, make_study, save_nifti
from integration.server import QUICK, Server, running

pytestmark = [pytest.mark.server, pytest.mark.timeout(400)]


def _noted(server: Server) -> dict[str, Any]:
    """What was noted about each submitted label."""
    objects = server.client().datastore()["objects"]
    return {image: entry["labels"]["final"]["info"] for image, entry in objects.items() if "final" in entry["labels"]}


def test_labels_submitted_while_others_write_are_all_kept(tmp_path: Path, checkpoint: Path) -> None:
    studies, state = make_study(tmp_path / "study"), tmp_path / "state"
    state.mkdir()
    shutil.copy(checkpoint, state / "published.pt")
    with running(studies, state, auto_scoring="false") as server:
        client = server.client()
        client.train_start("carotid", dict(QUICK))
        server.request("POST", "/scoring/pld", json={})
        submitted = {}
        # One label after the other until both processes have begun and ended; images arrive meanwhile.
        while any("end_ts" not in task for task in [*server.tasks("train"), *server.tasks("scoring")]):
            number = len(submitted)
            image = UNLABELLED[number % len(UNLABELLED)]
            submitted[number] = image
            label = save_nifti(tmp_path / "label.nii.gz", label_of(image)[:, :, None])
            client.save_label(image, str(label), params={"number": number})
            if number < 30:
                save_nifti(studies / f"new{number:02d}.nii.gz", frame(400)[0][:, :, None])
        assert server.finished("train")["status"] == "DONE"
        assert server.finished("scoring")["status"] == "DONE"
        assert len(submitted) >= len(UNLABELLED)
        last = {image: number for number, image in submitted.items()}
        noted = _noted(server)
        assert set(noted) == {*LABELLED, *last}
        assert {image: noted[image]["number"] for image in last} == last
        files = server.labels()
    with running(studies, state, auto_scoring="false") as server:
        assert _noted(server) == noted
        assert server.labels() == files
        assert len(server.client().datastore()["objects"]) >= len(FRAMES) + min(30, len(submitted))
