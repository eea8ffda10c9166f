from pathlib import Path

import numpy as np
import pytest
from fastapi import Depends, FastAPI, HTTPException
from fastapi.testclient import TestClient

from lib.configs import Study
from lib.datastores import LabelGuard, StudyFolder
from lib.web.ohif import LastPredictions
from lib.web.routes import Access, Served, serve_studies
from lib.web.routes.frames import frame_list_routes
from sequal.study.state import StudyState
from unit.synthetic_study import SIZE, band, settings, write_image, write_label

IMAGES = ("a1", "a2", "b1", "b2")


@pytest.fixture
def study(tmp_path: Path) -> Study:
    return Study(settings(), StudyState.open(tmp_path / "state", settings()), None, Path(), None, None)


@pytest.fixture
def store(tmp_path: Path, study: Study) -> StudyFolder:
    folder = tmp_path / "study"
    folder.mkdir()
    for number, image in enumerate(IMAGES):
        write_image(folder / f"{image}.nii.gz", band(np.random.default_rng(number))[0])
    return StudyFolder(str(folder), LabelGuard(study.state), auto_reload=False)


@pytest.fixture
def client(study: Study, store: StudyFolder) -> TestClient:
    app = FastAPI()
    serve_studies(app, [Served(study, lambda: store)], LastPredictions(), Access())
    return TestClient(app)


def _save(store: StudyFolder, tmp_path: Path, image: str, rows: slice, **info: object) -> None:
    label = np.zeros((*SIZE, 1), np.uint8)
    label[:, rows] = 1
    store.save_label(image, str(write_label(tmp_path / "label.nii.gz", label)), "final", info)


def _listed(client: TestClient, **query: object) -> dict[str, dict[str, object]]:
    reply = client.get("/sequal/frames", params=query)
    assert reply.status_code == 200, reply.text
    return {frame["image"]: frame for frame in reply.json()["frames"]}


def test_every_frame_is_listed_with_what_became_of_it_and_by_whom(client, study, store, tmp_path):
    _save(store, tmp_path, "a1", slice(30, 38), client_id="anna")
    _save(store, tmp_path, "a2", slice(0, 0), client_id="bob", reason="a vein")
    study.state.ledger.skip("b1", "carl", "shadow")
    study.state.ledger.acquire_lease(["b2"], "dora", 60)

    frames = _listed(client)

    assert {image: frame["state"] for image, frame in frames.items()} == {
        "a1": "labelled",
        "a2": "no wall",
        "b1": "skipped",
        "b2": "open",
    }
    assert [frames[image]["by"] for image in ("a1", "a2", "b1")] == ["anna", "bob", "carl"]
    assert (frames["a2"]["why"], frames["b1"]["why"]) == ("a vein", "shadow")
    assert frames["b2"]["open_with"] == "dora"
    assert client.get("/sequal/frames").json()["counts"] == {"open": 1, "labelled": 2, "skipped": 1}


@pytest.mark.parametrize(
    ("query", "images"),
    [
        ({"group": "labelled"}, ["a1"]),
        ({"group": "open"}, ["a2", "b1", "b2"]),
        ({"search": "B"}, ["b1", "b2"]),
        ({"holder": "anna"}, ["b1"]),
        ({"holder": "nobody"}, []),
        ({"study": "1.2.3"}, []),
        ({"offset": 1, "limit": 2}, ["a2", "b1"]),
    ],
)
def test_a_part_of_the_list_can_be_asked_for(client, study, store, tmp_path, query, images):
    _save(store, tmp_path, "a1", slice(30, 38))
    study.state.ledger.acquire_lease(["b1"], "anna", 60)
    assert list(_listed(client, **query)) == images


def test_the_frame_of_a_dicom_study_is_found_where_the_app_itself_gives_the_uids(study, store):
    app = FastAPI()
    app.router.routes.extend(frame_list_routes(study, lambda: store, {"1.2": "a2"}.get))
    assert list(_listed(TestClient(app), study="1.2")) == ["a2"]
    assert _listed(TestClient(app), study="1.3") == {}


@pytest.mark.parametrize("query", [{"group": "none"}, {"limit": 0}, {"limit": 10**6}, {"offset": -1}])
def test_a_list_that_cannot_be_is_refused(client, query):
    assert client.get("/sequal/frames", params=query).status_code == 422


def test_an_open_frame_is_held_for_its_annotator(client, study):
    def hold(name: str) -> dict[str, object]:
        return client.post("/sequal/lease", params={"image": "a1"}, json={"client_id": name}).json()

    assert hold("anna")["held"] is True
    assert hold("anna")["held"] is True, "the same name in another browser is the same annotator"
    assert hold("bob") == {"image": "a1", "held": False, "open_with": "anna", "minutes": 30.0}
    assert study.state.ledger.leased() == {"a1": "anna"}
    assert client.post("/sequal/lease", params={"image": "nobody"}).status_code == 404


def test_no_wall_is_taken_back_and_a_copy_stays(client, study, store, tmp_path):
    _save(store, tmp_path, "a1", slice(0, 0))
    reply = client.delete("/sequal/no-layer", params={"image": "a1"})
    assert (reply.status_code, reply.json()) == (200, {"image": "a1", "state": "open"})
    assert _listed(client)["a1"]["state"] == "open"
    assert store.get_labeled_images() == []
    assert len(list((study.state.root / "replaced").iterdir())) == 1


def test_a_drawn_label_is_never_taken_away(client, store, tmp_path):
    _save(store, tmp_path, "a1", slice(30, 38))
    for image in ("a1", "a2", "nobody"):
        reply = client.delete("/sequal/no-layer", params={"image": image})
        assert (reply.status_code, "no wall" in reply.json()["detail"]) == (400, True)
    assert store.get_labeled_images() == ["a1"]


def test_what_the_labels_come_from_is_counted(client, store, tmp_path):
    _save(store, tmp_path, "a1", slice(30, 38), edited=False)
    _save(store, tmp_path, "a2", slice(30, 38), edited=True)
    _save(store, tmp_path, "b1", slice(0, 0), edited=True)
    _save(store, tmp_path, "b2", slice(30, 38))
    assert client.get("/sequal/labels").json() == {"labels": 4, "no_wall": 1, "unedited": 1, "unknown": 1}


def test_who_may_not_annotate_can_neither_hold_nor_take_back(study, store, tmp_path):
    def nobody() -> None:
        raise HTTPException(status_code=401)

    _save(store, tmp_path, "a1", slice(0, 0))
    app = FastAPI()
    serve_studies(app, [Served(study, lambda: store)], LastPredictions(), Access(annotate=[Depends(nobody)]))
    client = TestClient(app)
    assert client.post("/sequal/lease", params={"image": "a1"}).status_code == 401
    assert client.delete("/sequal/no-layer", params={"image": "a1"}).status_code == 401
    assert store.get_labeled_images() == ["a1"]
