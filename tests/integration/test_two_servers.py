"""Two servers on one study: safe with one state, refused with two; and what outlives a server."""

import json
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest

from integration.data import label_of, make_study, save_nifti
from integration.server import QUICK, REPOSITORY, START_S, Server, command, environment, free_port, running, wait_for
from sequal.settings import Settings
from sequal.study.state import StudyState

pytestmark = [pytest.mark.server, pytest.mark.timeout(500)]


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory, checkpoint: Path) -> Iterator[tuple[Server, Server]]:
    folder = tmp_path_factory.mktemp("two")
    studies, state = make_study(folder / "study"), folder / "state"
    state.mkdir()
    shutil.copy(checkpoint, state / "published.pt")
    with (
        running(studies, state, auto_scoring="false") as first,
        running(studies, state, auto_scoring="false") as second,
    ):
        yield first, second


def test_no_image_is_asked_for_twice_and_no_label_is_lost(pair: tuple[Server, Server], tmp_path: Path) -> None:
    def annotate(number: int) -> list[str]:
        server, client = pair[number % 2], f"reader-{number}"
        done = []
        while sample := server.client(client).next_sample("random", {"client_id": client}):
            label = save_nifti(tmp_path / f"{client}.nii.gz", label_of(sample["id"])[:, :, None])
            reply = server.request(
                "PUT",
                "/datastore/label",
                params={"image": sample["id"]},
                data={"params": json.dumps({"reader": client})},
                files={"label": (label.name, label.read_bytes())},
            )
            assert reply.status_code == 200, reply.text
            done.append(sample["id"])
        return done

    before = set(pair[0].labels())
    with ThreadPoolExecutor(4) as readers:
        done = list(readers.map(annotate, range(4)))
    asked = [image for images in done for image in images]
    assert len(asked) == len(set(asked))
    for server in pair:
        assert set(server.labels()) == before | {f"{image}.nii.gz" for image in asked}
        objects = wait_for("the list of all labels", lambda server=server: _all_labelled(server))
        readers_of = {image: f"reader-{number}" for number, images in enumerate(done) for image in images}
        assert {image: objects[image]["labels"]["final"]["info"]["reader"] for image in asked} == readers_of


def _all_labelled(server: Server) -> dict[str, dict[str, dict[str, dict[str, dict[str, str]]]]] | None:
    objects = server.client().datastore()["objects"]
    return objects if all("final" in entry["labels"] for entry in objects.values()) else None


def test_rounds_of_two_servers_come_one_after_the_other(pair: tuple[Server, Server]) -> None:
    for server in pair:
        server.client().train_start("carotid", dict(QUICK))
    for server in pair:
        assert server.finished("train")["status"] == "DONE", server.log[-3000:]
    rounds = StudyState.open(pair[0].state, Settings()).ledger.rounds()
    assert [record.status in {"published", "rejected"} for record in rounds] == [True, True], rounds
    assert rounds[0].finished_at <= rounds[1].started_at


def test_a_server_with_another_state_is_refused_with_the_reason(pair: tuple[Server, Server], tmp_path: Path) -> None:
    ended = subprocess.run(
        command(pair[0].studies, free_port(), {"state": tmp_path / "other"}),
        cwd=REPOSITORY,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=START_S,
        check=False,
    )
    assert ended.returncode != 0
    assert "to have one state" in ended.stdout + ended.stderr
    assert str(pair[0].state) in ended.stdout + ended.stderr


def test_a_round_ends_with_its_server(tmp_path: Path, checkpoint: Path) -> None:
    studies, state = make_study(tmp_path / "study"), tmp_path / "state"
    state.mkdir()
    shutil.copy(checkpoint, state / "published.pt")
    with running(studies, state, auto_scoring="false") as server:
        published = server.published.read_bytes()
        server.client().train_start("carotid", {**QUICK, "epochs": 1000})
        stats = wait_for("the first epoch", lambda: (s := server.stats()).get("epoch", 0) >= 1 and s)
        os.kill(server.process.pid, signal.SIGKILL)
        server.process.wait()
        wait_for("the end of the round", lambda: not psutil.pid_exists(stats["pid"]), 30)
    with running(studies, state, auto_scoring="false") as server:
        assert "stopped before its end" in server.stats()["error"]
        assert server.published.read_bytes() == published
        assert server.train()["status"] == "DONE"
