import io
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from PIL import Image

from lib.configs import Study
from lib.datastores import LabelGuard, StudyFolder
from lib.web.ohif import LastPredictions
from lib.web.routes import Access, Served, serve_studies
from sequal.study.state import StudyState
from unit.synthetic_study import SIZE, band, settings, write_image, write_label

ROTATED = 6  # EXIF: the camera was held upright


@pytest.fixture
def study(tmp_path: Path) -> Study:
    return Study(settings(), StudyState.open(tmp_path / "state", settings()), None, Path(), None, None)


@pytest.fixture
def store(tmp_path: Path, study: Study) -> StudyFolder:
    folder = tmp_path / "study"
    folder.mkdir()
    rng = np.random.default_rng(0)
    write_image(folder / "im.nii.gz", band(rng)[0], spacing_mm=(0.1, 0.05))
    write_image(folder / "clip.nii.gz", band(rng, frames=3)[0])
    pixels = rng.integers(0, 255, (40, 30), np.uint8)
    exif = Image.Exif()
    exif[0x0112] = ROTATED
    Image.fromarray(pixels).save(folder / "photo.png", exif=exif)
    return StudyFolder(str(folder), LabelGuard(study.state), auto_reload=False)


@pytest.fixture
def client(study: Study, store: StudyFolder) -> TestClient:
    app = FastAPI()
    serve_studies(app, [Served(study, lambda: store)], LastPredictions(), Access())
    return TestClient(app)


def _frame(client: TestClient, image: str) -> dict[str, object]:
    reply = client.get("/sequal/frame", params={"image": image})
    assert reply.status_code == 200, reply.text
    return reply.json()


def test_a_frame_is_described(client):
    found = _frame(client, "im")
    assert (found["width"], found["height"], found["frames"], found["state"]) == (*SIZE, 1, "open")
    assert found["spacing_mm"] == pytest.approx([0.1, 0.05])
    assert found["layout"] == {"axes": [0, 1, 2], "flip_x": False, "flip_y": False}
    photo = _frame(client, "photo")
    assert (photo["width"], photo["height"], photo["spacing_mm"]) == (40, 30, None)
    assert photo["layout"] == {"axes": [1, 0, 2], "flip_x": True, "flip_y": False}


@pytest.mark.parametrize("frame", [0, 2])
def test_the_picture_has_the_pixels_of_its_frame(client, store, frame):
    reply = client.get("/sequal/picture", params={"image": "clip", "frame": frame})
    assert reply.headers["content-type"] == "image/png"
    shown = np.asarray(Image.open(io.BytesIO(reply.content)))
    stored = np.asanyarray(nib.load(store.get_image_uri("clip")).dataobj)
    np.testing.assert_array_equal(shown.T, stored[:, :, frame])


def test_a_stored_label_comes_back_byte_for_byte_columns_fastest(client, store, tmp_path):
    label = np.zeros((*SIZE, 3), np.uint8)
    label[10:50, 30:38, 1] = 1
    label[60:, :, 2] = 255
    store.save_label("clip", str(write_label(tmp_path / "label.nii.gz", label)), "final", {})
    reply = client.get("/sequal/label", params={"image": "clip"})
    np.testing.assert_array_equal(
        np.frombuffer(reply.content, np.uint8).reshape(label.shape, order="F"),
        label,
    )


def test_what_is_not_there_is_not_found(client):
    for path, query in (
        ("frame", {"image": "nobody"}),
        ("picture", {"image": "nobody"}),
        ("picture", {"image": "im", "frame": 1}),
        ("label", {"image": "im"}),
        ("label", {"image": "nobody"}),
    ):
        assert client.get(f"/sequal/{path}", params=query).status_code == 404, (path, query)


def test_an_image_that_cannot_be_read_is_refused_in_words(client, store):
    Path(store.get_image_uri("im")).write_bytes(b"no image")
    reply = client.get("/sequal/frame", params={"image": "im"})
    assert (reply.status_code, reply.json()["detail"][:9]) == (400, "Expected ")
