"""The ledger on PostgreSQL: servers on one study, several annotators, nothing given twice, rounds in turn."""

import json
import multiprocessing
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path

import pytest

from integration.data import label_of, make_study, save_nifti
from integration.server import QUICK, free_port, running
from postgres import running_postgres
from sequal.study.state import Ledger, round_lock

pytestmark = [pytest.mark.timeout(500)]

ANNOTATORS = 8
SERVERS = 2


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with running_postgres(free_port()) as started:
        yield started


def _lease_all(url: str, study: str, server: int, images: list[str]) -> list[list[str]]:
    """What each annotator of one server is asked for, until nothing is free."""
    ledger = Ledger.open(url, study)

    def annotate(number: int) -> list[str]:
        client, got = f"server {server} reader {number}", []
        while (image := ledger.acquire_lease(images, client, 600)) is not None and image not in got:
            got.append(image)
        return got

    with ThreadPoolExecutor(ANNOTATORS // SERVERS) as readers:
        return list(readers.map(annotate, range(ANNOTATORS // SERVERS)))


def test_servers_that_start_at_once_lease_no_image_twice(url: str) -> None:
    images = [f"image {number:03d}" for number in range(80)]
    with multiprocessing.get_context("fork").Pool(SERVERS) as servers:
        found = servers.starmap(_lease_all, [(url, "leases", server, images) for server in range(SERVERS)])
    leased = [image for readers in found for got in readers for image in got]
    assert sorted(leased) == images
    held = Ledger.open(url, "leases").leased()
    assert len(held) == len(images)
    assert Ledger.open(url, "another study").leased() == {}


def _run_rounds(url: str, count: int) -> None:
    ledger = Ledger.open(url, "rounds")
    for _ in range(count):
        with round_lock(ledger, poll_s=0.01):
            number = ledger.start_round(
                settings={}, seed=1, versions={}, train_ids=["a"], validation_ids=[], unlabelled_count=0
            )
            ledger.put_scores("digest", {"pld": {f"image {image}": float("nan") for image in range(20)}})
            ledger.put_scores("digest", {"pld": {f"image {image}": image / 20 for image in range(20)}})
            ledger.finish_round(number, status="published", reason="")


def test_rounds_of_two_servers_are_never_at_one_time(url: str) -> None:
    with multiprocessing.get_context("fork").Pool(SERVERS) as servers:
        servers.starmap(_run_rounds, [(url, 6)] * SERVERS)
    rounds = Ledger.open(url, "rounds").rounds()
    assert [record.round for record in rounds] == list(range(1, 13))
    assert all(one.finished_at <= next_one.started_at for one, next_one in pairwise(rounds))


def test_scores_come_in_the_same_order_as_from_sqlite(url: str, tmp_path: Path) -> None:
    scores = {f"Image-{number % 7} {'aZ_é'[number % 4]}{number}": (number % 50) / 50 for number in range(3000)}
    orders = []
    for place in (url, tmp_path / "ledger.db"):
        ledger = Ledger.open(place, "scores")
        ledger.put_scores("digest", {"pld": {**scores, "failed": float("nan")}})
        found = [entry for part in ledger.best_first("digest", "pld") for entry in part]
        assert dict(found) == scores
        assert len(found) == len(scores)
        orders.append([score for _, score in found])
    assert orders[0] == orders[1] == sorted(scores.values(), reverse=True)


@pytest.mark.server
def test_two_servers_and_eight_annotators_label_one_study(url: str, tmp_path: Path, checkpoint: Path) -> None:
    studies, state = make_study(tmp_path / "study"), tmp_path / "state"
    state.mkdir()
    shutil.copy(checkpoint, state / "published.pt")
    with (
        running(studies, state, auto_scoring="false", ledger=url) as first,
        running(studies, state, auto_scoring="false", ledger=url) as second,
    ):
        servers = first, second

        def annotate(number: int) -> list[str]:
            server, client, done = servers[number % SERVERS], f"reader-{number}", []
            while sample := server.client(client).next_sample("random", {"client_id": client}):
                label = save_nifti(tmp_path / f"{client}.nii.gz", label_of(sample["id"])[:, :, None])
                reply = server.save_label(sample["id"], label)
                assert reply.status_code == 200, reply.text
                done.append(sample["id"])
            return done

        before = {name.removesuffix(".nii.gz") for name in first.labels()}
        with ThreadPoolExecutor(ANNOTATORS) as readers:
            asked = [image for done in readers.map(annotate, range(ANNOTATORS)) for image in done]
        assert len(asked) == len(set(asked))
        assert before.isdisjoint(asked)
        assert before | set(asked) == set(first.client().datastore()["objects"])
        for server in servers:
            server.client().train_start("carotid", dict(QUICK))
        for server in servers:
            assert server.finished("train")["status"] == "DONE", server.log[-3000:]
    assert not (state / "ledger.db").exists()
    study = (state / "study.id").read_text().strip()
    rounds = Ledger.open(url, study).rounds()
    assert [record.status in {"published", "rejected"} for record in rounds] == [True, True], rounds
    assert rounds[0].finished_at <= rounds[1].started_at
    assert json.dumps(rounds[0].metrics)
