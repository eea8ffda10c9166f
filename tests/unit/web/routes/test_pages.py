import re
from pathlib import Path

import numpy as np
import pytest
from fastapi import Depends, FastAPI, HTTPException
from fastapi.testclient import TestClient

from lib.configs import Study
from lib.datastores import LabelGuard, ServedImages, StudyFolder
from lib.endpoints.answering import READER, Endpoint
from lib.web.dicomweb import FolderService
from lib.web.ohif import LastPredictions
from lib.web.ohif.in_front import put_in_front
from lib.web.routes import Access, Served, serve_studies
from lib.web.routes.address_page import address_routes
from lib.web.routes.no_layer_count import NoLayerCount
from sequal.prediction import ServedModel
from sequal.study.state import LabelCheck, StudyState
from unit.synthetic_study import settings
from unit.web.dicomweb.folder import label, pixels, save

FINAL = Path("labels") / "final"


@pytest.fixture
def folder(tmp_path):
    """Five images: one with a layer drawn, one with an empty label that was copied into the folder."""
    studies = tmp_path / "<study>"
    (studies / FINAL).mkdir(parents=True)
    for name in ("a", "b", "c", "d", "e"):
        save(studies / f"{name}.nii.gz", pixels())
    save(studies / FINAL / "a.nii.gz", label())
    save(studies / FINAL / "b.nii.gz", np.zeros_like(label()))
    return studies


@pytest.fixture
def study(tmp_path):
    state = StudyState.open(tmp_path / "state", settings())
    served, none = ServedModel(state.published, Path("none.pt"), "cpu"), Path("none.pt")
    return Study(settings(), state, served, none, None, None, studies=str(tmp_path / "<study>"))


@pytest.fixture
def store(folder, study):
    return StudyFolder(str(folder), LabelGuard(study.state), auto_reload=False)


def _client(study, store, studies, **access):
    server = FastAPI()
    service = FolderService(ServedImages(store, study))
    serve_studies(
        server, [Served(study, lambda: store)], LastPredictions(), Access(**access), service, place=str(studies)
    )
    return TestClient(server)


def _counts(page):
    return {key: found for key, found in re.findall(r'id="([a-z-]+)">\s*([0-9+]+)\s*<', page)}


def test_the_start_page_says_how_many_masks_are_good(study, store, folder):
    for image in ("a", "b", "not labelled any more"):
        study.state.ledger.put_check(LabelCheck(image, "d", 0.9, 0.8))
    page = _client(study, store, folder).get("/").text
    assert (
        "How many masks are good cannot be said yet: 2 labels could be compared with a mask, and 5 are needed" in page
    )
    assert "2 labels were compared with the mask" in page


def test_the_start_page_says_how_far_the_study_is(study, store, folder):
    study.state.ledger.skip("c", "me", "blurred")
    study.state.ledger.acquire_lease(["d"], "me", 60.0)
    client = _client(study, store, folder)

    reply = client.get("/")
    assert (reply.status_code, reply.headers["cache-control"]) == (200, "no-store")
    assert _counts(reply.text) == {
        "images": "5",
        "labelled": "2",
        "no-layer": "1",
        "skipped": "1",
        "open": "2",
        "leased": "1",
    }
    assert "&lt;study&gt;" in reply.text
    assert "<study>" not in reply.text
    assert "none: the first training makes one" in reply.text
    assert "No training round yet" in reply.text


def test_rounds_are_listed_with_what_came_of_them(study, store, folder):
    ledger = study.state.ledger
    for number in range(12):
        started = ledger.start_round(
            settings={}, seed=0, versions={}, train_ids=["a"] * (number + 1), validation_ids=[], unlabelled_count=3
        )
        ledger.finish_round(started, status="rejected", seconds=1.0, metrics={"metric": 0.8}, reason="worse <here>")
    page = _client(study, store, folder).get("/").text
    rows = re.findall(r"<tr><td>(\d+)</td>.*?<td>(\d+)</td><td>(.*?)</td>", page, re.DOTALL)
    assert rows[0] == ("12", "12", "0.800")
    assert len(rows) == 10
    assert "2 earlier rounds" in page
    assert "held back: worse &lt;here&gt;" in page


@pytest.mark.parametrize("path", ["/", "/docs"])
def test_a_page_asks_no_other_host_and_runs_no_script(study, store, folder, path):
    page = _client(study, store, folder).get(path).text
    assert page.startswith("<!DOCTYPE html>")
    assert "://" not in page
    assert "<script" not in page


def test_what_is_not_well_with_the_study_is_said(study, store, folder):
    (folder / "datastore_v2.json.corrupt-1").touch()
    page = _client(study, store, folder).get("/").text
    assert "datastore_v2.json.corrupt-1" in page
    assert 'class="warning"' in page


def test_a_study_without_images_says_how_to_get_some(study, tmp_path):
    studies = tmp_path / "empty"
    studies.mkdir()
    store = StudyFolder(str(studies), LabelGuard(study.state), auto_reload=False)
    page = _client(study, store, studies).get("/").text
    assert "no images yet" in page
    assert 'class="button"' not in page


def test_the_address_of_a_pacs_is_shown_without_its_user(study, store):
    page = _client(study, store, "http://reader:secret@pacs/dicom-web").get("/").text
    assert "http://pacs/dicom-web" in page
    assert "secret" not in page


def test_every_route_that_is_described_is_listed(study, store, folder):
    client = _client(study, store, folder)
    page = client.get("/docs").text
    paths = client.get("/openapi.json").json()["paths"]
    assert {"/sequal/skip", "/sequal/models/{number}", "/sequal/dicom-web/{path}"} <= set(paths)
    for path in paths:
        assert f"<code>{path}</code>" in page
    assert "Ask nobody for an image" in page


def test_what_only_refuses_is_not_listed():
    server = FastAPI()

    @server.put("/model/{model}", summary="Upload a model")
    @server.get("/model/{model}", summary="Download a model")
    def described(model: str, cache: bool = True) -> None:
        """As MONAI Label has it."""

    refusing = Endpoint("/model/{model}", lambda model: None, READER, methods=("PUT",), listed=False)
    put_in_front(server, [refusing.route(), *address_routes(server)])
    page = TestClient(server).get("/docs").text
    assert "Keys: cache" in page
    assert re.findall(r"<td>(GET|PUT)</td>", page) == ["GET"]


def test_who_may_not_read_sees_no_page(study, store, folder):
    def nobody() -> None:
        raise HTTPException(status_code=401)

    client = _client(study, store, folder, read=[Depends(nobody)])
    assert [client.get(path).status_code for path in ("/", "/docs")] == [401, 401]


def test_labels_are_read_once_and_not_for_longer_than_is_allowed(store, folder):
    count = NoLayerCount(files=True)
    assert count.of(store, ["a", "b"], longest_s=0.0) == (0, False)
    assert count.of(store, ["a", "b"]) == (1, True)
    save(folder / FINAL / "a.nii.gz", np.zeros_like(label()))
    assert count.of(store, ["a", "b"]) == (2, True)
    assert NoLayerCount(files=False).of(store, ["a", "b"]) == (0, True), "nothing was noted when they came"
