from pathlib import Path

import nibabel as nib
import nrrd
import numpy as np
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from lib.web.routes.curves import MASK_PATH, curve_routes

WIDTH, HEIGHT = 40, 30
AFFINE = np.array([[0.0, -0.1, 0.0, 4.0], [0.2, 0.0, 0.0, -3.0], [0.0, 0.0, 1.0, 2.0], [0.0, 0.0, 0.0, 1.0]])


class _Datastore:
    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def get_image_uri(self, image: str) -> str:
        return str(self.folder / "im.nii.gz") if image == "im" else ""


@pytest.fixture
def client(tmp_path: Path) -> TestClient:
    nib.save(nib.Nifti1Image(np.zeros((WIDTH, HEIGHT, 1), np.uint8), AFFINE), tmp_path / "im.nii.gz")
    app = FastAPI()
    app.router.routes.extend(curve_routes(lambda: _Datastore(tmp_path)))
    return TestClient(app)


def curve(*points: tuple[float, float]) -> list[list[float]]:
    """RAS points of pixels."""
    pixels = np.array([(*point, 0.0, 1.0) for point in points])
    return (pixels @ AFFINE.T)[:, :3].tolist()


def test_the_mask_between_two_curves_lies_on_the_image(client: TestClient, tmp_path: Path) -> None:
    drawn = {"LI": [curve((0, 9.5), (39, 9.5))], "MA": [curve((5, 12.5), (39, 12.5))]}
    reply = client.post(MASK_PATH, params={"image": "im"}, json=drawn)
    assert reply.status_code == 200, reply.text
    (tmp_path / "mask.nrrd").write_bytes(reply.content)
    mask, header = nrrd.read(str(tmp_path / "mask.nrrd"))
    expected = np.zeros((WIDTH, HEIGHT, 1), np.uint8)
    expected[5:, 10:13] = 1
    np.testing.assert_array_equal(mask, expected)
    np.testing.assert_allclose(header["space origin"], AFFINE[:3, 3] * [-1, -1, 1])


@pytest.mark.parametrize(
    ("drawn", "words"),
    [
        ({}, "columns in common"),
        ({"LI": [curve((0, 9), (39, 9))]}, "columns in common"),
        ({"LI": [curve((0, 12), (39, 12))], "MA": [curve((0, 9), (39, 9))]}, "`ma` to lie below `li`"),
        ({"LI": 3}, "`LI` to be a list of curves"),
        ({"LI": [[["a", "b", "c"]]]}, "points [r, a, s]"),
        ({"LI": [[[1, 2]]]}, "points [r, a, s]"),
        ({"adventitia": []}, "the curves LI and MA"),
    ],
)
def test_what_gives_no_mask_is_refused(client: TestClient, drawn: dict[str, object], words: str) -> None:
    reply = client.post(MASK_PATH, params={"image": "im"}, json=drawn)
    assert reply.status_code == 400
    assert words in reply.json()["detail"]


def test_an_image_that_is_not_there_is_not_found(client: TestClient) -> None:
    assert client.post(MASK_PATH, params={"image": "other"}, json={}).status_code == 404
