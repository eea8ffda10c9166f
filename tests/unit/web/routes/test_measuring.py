from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from fastapi import Depends, FastAPI, HTTPException
from fastapi.testclient import TestClient

from lib.configs import Study
from lib.web.ohif import LastPredictions
from lib.web.routes import Access, Served, serve_studies
from lib.web.routes.measuring import MEASUREMENT_PATH
from sequal.settings import Settings
from sequal.study.state import StudyState
from unit.synthetic_study import SIZE, SPACING_MM, band, settings, write_image, write_label

PARAMS = {"imt": {"mean_mm": 0.71, "flags": []}, "pld": 0.01, "confidence": 0.93}


class _Datastore:
    """One image, and one clip, perhaps with labels."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.labels: dict[str, Path] = {}

    def list_images(self) -> list[str]:
        return ["im", "clip"]

    def get_image_uri(self, image: str) -> str:
        return str(self.folder / f"{image}.nii.gz") if image in self.list_images() else ""

    def get_label_by_image_id(self, image: str, tag: str) -> str:
        return image if image in self.labels else ""

    def get_label_uri(self, label: str, tag: str) -> str:
        return str(self.labels.get(label, ""))


@pytest.fixture
def datastore(tmp_path: Path) -> _Datastore:
    rng = np.random.default_rng(0)
    write_image(tmp_path / "im.nii.gz", band(rng)[0])
    write_image(tmp_path / "clip.nii.gz", band(rng, frames=3)[0])
    return _Datastore(tmp_path)


@pytest.fixture
def study(tmp_path: Path) -> Study:
    return Study(settings(), StudyState.open(tmp_path / "state", settings()), None, Path(), None, None)


@pytest.fixture
def predictions() -> LastPredictions:
    return LastPredictions()


@pytest.fixture
def client(study: Study, datastore: _Datastore, predictions: LastPredictions) -> TestClient:
    app = FastAPI()
    serve_studies(app, [Served(study, lambda: datastore)], predictions, Access())
    return TestClient(app)


def _drawn(thickness: int = 10, frames: int = 1) -> np.ndarray:
    label = np.zeros((*SIZE, frames), np.uint8)
    label[:, 30 : 30 + thickness, 0] = 1
    return label


def _post(client: TestClient, file: Path, image: str = "im", **form: str):
    with file.open("rb") as stream:
        files = {"label": (file.name, stream)}
        return client.post(MEASUREMENT_PATH, params={"image": image}, files=files, data=form)


def _contents(folder: Path) -> dict[str, bytes]:
    return {
        str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file() and "ledger.db" not in path.name
    }


def test_what_is_drawn_is_measured_and_nothing_is_stored(client, datastore, study, tmp_path):
    label = write_label(tmp_path / "drawn.nii.gz", _drawn())
    before = _contents(tmp_path)
    reply = _post(client, label)
    assert reply.status_code == 200, reply.text
    imt = reply.json()["imt"]
    assert imt["mean_mm"] == pytest.approx(10 * SPACING_MM)
    assert (imt["columns"], imt["calibrated"]) == (SIZE[0], True)
    assert reply.json().keys() == {"image", "imt"}
    assert _contents(tmp_path) == before


def test_bare_bytes_and_named_segments_are_taken_as_a_submitted_label_is(client, tmp_path):
    (tmp_path / "label.bin").write_bytes((2 * _drawn()).ravel(order="F").tobytes())
    named = '{"label_info": [{"name": "look here", "idx": 1}, {"name": "intima-media", "idx": 2}]}'
    assert _post(client, tmp_path / "label.bin", params=named).json()["imt"]["mean_mm"] == pytest.approx(0.6)


def test_a_clip_has_a_measurement_a_frame(client, tmp_path):
    label = write_label(tmp_path / "drawn.nii.gz", _drawn(frames=3))
    reply = _post(client, label, "clip").json()
    assert reply["imt"]["mean_mm"] == pytest.approx(0.6)
    assert [imt["columns"] for imt in reply["imt_frames"]] == [SIZE[0], 0, 0]


def test_an_empty_label_has_no_thickness(client, tmp_path):
    imt = _post(client, write_label(tmp_path / "drawn.nii.gz", np.zeros((*SIZE, 1)))).json()["imt"]
    assert (imt["mean_mm"], imt["columns"], "no_layer" in imt["flags"]) == (None, 0, True)


def test_two_layers_in_a_column_are_not_added_up_and_the_reply_says_so(client, tmp_path):
    label = _drawn()
    label[20:60, 5:12, 0] = 1
    imt = _post(client, write_label(tmp_path / "drawn.nii.gz", label)).json()["imt"]
    assert imt["mean_mm"] == pytest.approx(10 * SPACING_MM)
    assert imt["max_mm"] == pytest.approx(10 * SPACING_MM)
    assert "several_pieces" in imt["flags"]


def test_a_bad_label_is_refused_and_not_kept(client, study, tmp_path):
    (tmp_path / "junk.nii.gz").write_bytes(b"junk")
    (tmp_path / "label.bin").write_bytes(b"12345")
    strange = write_label(tmp_path / "grid.nii.gz", np.ones((5, 5, 1)))
    for file in (tmp_path / "junk.nii.gz", tmp_path / "label.bin", strange):
        reply = _post(client, file)
        assert (reply.status_code, reply.json()["detail"][:9]) == (400, "Expected ")
    reply = _post(client, write_label(tmp_path / "drawn.nii.gz", _drawn()), params="[1]")
    assert (reply.status_code, "`params`" in reply.json()["detail"]) == (400, True)
    assert _post(client, strange, "nobody").status_code == 404
    assert list((study.state.root / "rejected").iterdir()) == []


def test_the_stored_label_is_measured(client, datastore, tmp_path):
    ask = {"image": "im", "of": "label"}
    reply = client.get(MEASUREMENT_PATH, params=ask)
    assert (reply.status_code, "one that is labelled" in reply.json()["detail"]) == (404, True)
    datastore.labels["im"] = write_label(tmp_path / "stored.nii.gz", _drawn(12))
    assert client.get(MEASUREMENT_PATH, params=ask).json()["imt"]["mean_mm"] == pytest.approx(12 * SPACING_MM)
    assert client.get(MEASUREMENT_PATH, params={**ask, "image": "nobody"}).status_code == 404
    reply = client.get(MEASUREMENT_PATH, params={**ask, "of": "everything"})
    assert (reply.status_code, "`of`" in reply.json()["detail"]) == (400, True)


def test_a_stored_label_that_lies_on_its_volume_along_other_axes_is_measured(datastore, predictions, tmp_path):
    chosen = Settings.from_conf({"models": "volume", "labels": "liver"})
    study = Study(chosen, StudyState.open(tmp_path / "volumes", chosen), None, Path(), None, None)
    app, affine = FastAPI(), np.diag([2.0, 2.0, 3.0, 1.0])
    label = nib.Nifti1Image(np.ones((6, 5, 4), np.uint8), affine)
    nib.save(label, tmp_path / "im.nii.gz")
    nib.save(label.as_reoriented(np.array([[2, -1], [0, 1], [1, 1]])), tmp_path / "stored.nii.gz")
    datastore.labels["im"] = tmp_path / "stored.nii.gz"
    serve_studies(app, [Served(study, lambda: datastore)], predictions, Access())
    reply = TestClient(app).get(MEASUREMENT_PATH, params={"image": "im", "of": "label"})
    assert reply.json()["volumes_ml"] == {"liver": 6 * 5 * 4 * 0.012}


def test_the_last_prediction_is_told_as_it_was(client, predictions):
    reply = client.get(MEASUREMENT_PATH, params={"image": "im"})
    assert reply.status_code == 404
    assert reply.json()["detail"].startswith("Expected `image` to be one that was segmented")
    predictions.keep("im", PARAMS)
    assert client.get(MEASUREMENT_PATH, params={"image": "im"}).json() == {"image": "im", **PARAMS}


def test_who_may_not_read_gets_no_measurement(study, datastore, predictions, tmp_path):
    def nobody() -> None:
        raise HTTPException(status_code=401)

    app = FastAPI()
    serve_studies(app, [Served(study, lambda: datastore)], predictions, Access(read=[Depends(nobody)]))
    predictions.keep("im", PARAMS)
    assert TestClient(app).get(MEASUREMENT_PATH, params={"image": "im"}).status_code == 401
    assert _post(TestClient(app), write_label(tmp_path / "drawn.nii.gz", _drawn())).status_code == 401


def test_serving_again_replaces_the_routes(study, datastore, predictions):
    app = FastAPI()
    serve_studies(app, [Served(study, lambda: datastore)], predictions, Access())
    count = len(app.router.routes)
    serve_studies(app, [Served(study, lambda: datastore)], LastPredictions(), Access())
    assert len(app.router.routes) == count
    predictions.keep("im", PARAMS)
    assert TestClient(app).get(MEASUREMENT_PATH, params={"image": "im"}).status_code == 404
