"""A model is one file: the loop runs on a third one, with nothing but its file added to the app."""

import shutil
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from integration.server import APP, Server, running

pytestmark = [pytest.mark.server, pytest.mark.timeout(400)]

CONF = {"models": "vessel", "labels": "lumen,plaque", "batch_labelled": 2, "batch_unlabelled": 1, "patch": 64}
QUICK = {"epochs": 1, "iterations_per_epoch": 60, "learning_rate": 0.01, "ema_alpha": 0.9, "model": "vessel"}
STRUCTURES = {"lumen": 1, "plaque": 2}
PIXEL = np.diag([0.06, 0.06, 1.0, 1.0])


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The app and one more file."""
    copy = tmp_path_factory.mktemp("app") / "sequal"
    shutil.copytree(APP, copy, ignore=shutil.ignore_patterns("model", "logs", "bin", "__pycache__"))
    shutil.copy(Path(__file__).with_name("vessel.py"), copy / "sequal" / "anatomy" / "models")
    return copy


def _study(folder: Path, count: int = 5, labelled: int = 3) -> Path:
    """Dark lumens with a bright plaque in grey tissue."""
    rng = np.random.default_rng(0)
    for part in ("truth", "labels/final"):
        (folder / part).mkdir(parents=True)
    x, y = np.mgrid[:96, :64]
    for number in range(count):
        centre, name = rng.uniform((30, 24), (66, 40)), f"p{number}.nii.gz"
        truth = ((x - centre[0]) ** 2 / 4 + (y - centre[1]) ** 2 < 80).astype(np.uint8)
        truth[(truth == 1) & (y > centre[1] + 3)] = 2
        pixels = np.array([110, 20, 220])[truth] + rng.normal(0, 8, truth.shape)
        nib.save(nib.Nifti1Image(pixels.clip(0, 255).astype(np.uint8)[..., None], PIXEL), folder / name)
        label = nib.Nifti1Image(truth[..., None], PIXEL)
        nib.save(label, folder / "truth" / name)
        if number < labelled:
            nib.save(label, folder / "labels" / "final" / name)
    return folder


def _array(path: Path | str) -> np.ndarray:
    return np.asanyarray(nib.load(path).dataobj)


@pytest.fixture(scope="module")
def server(app: Path, tmp_path_factory: pytest.TempPathFactory):
    folder = tmp_path_factory.mktemp("vessel")
    with running(_study(folder / "study"), folder / "state", app=app, auto_scoring="false", **CONF) as started:
        yield started


def test_the_loop_runs(server: Server, tmp_path: Path) -> None:
    client, studies = server.client("anna"), Path(server.studies)
    info = client.info()
    assert info["name"] == "SEQUAL - vessels in cross-section"
    assert (info["labels"], list(info["trainers"])) == (list(STRUCTURES), ["vessel"])
    assert server.request("POST", "/train/vessel", json=QUICK).status_code == 200
    assert server.finished("train")["status"] == "DONE", server.log[-3000:]
    assert client.info()["train_stats"]["vessel"]["published"]
    assert {name for name in client.info()["models"]} == {"vessel", "vessel_review"}

    image = client.next_sample("pld", {})["id"]
    assert image in {"p3", "p4"}
    file, params = client.infer("vessel", image, {})
    mask, truth = _array(file), _array(studies / "truth" / f"{image}.nii.gz")
    assert mask.shape == truth.shape
    for number in STRUCTURES.values():
        both = np.count_nonzero((mask == number) & (truth == number))
        assert 2 * both > 0.6 * (np.count_nonzero(mask == number) + np.count_nonzero(truth == number))
    areas = {name: 0.0036 * np.count_nonzero(mask == number) for name, number in STRUCTURES.items()}
    assert params["areas_mm2"] == pytest.approx(areas)
    assert 0 < params["predicted_dice"] <= 1
    area, reviewed = client.infer("vessel_review", image, {})
    assert (_array(area).shape, reviewed["label_names"]) == (truth.shape, {"review": 1})

    assert server.save_label(image, studies / "truth" / f"{image}.nii.gz").status_code == 200
    np.testing.assert_array_equal(_array(studies / "labels" / "final" / f"{image}.nii.gz"), truth)
    measured = server.request("GET", "/sequal/measurement", params={"image": image, "of": "label"}).json()
    assert measured["areas_mm2"]["plaque"] == pytest.approx(0.0036 * np.count_nonzero(truth == 2))
    strange = tmp_path / "strange.nii.gz"
    nib.save(nib.Nifti1Image(np.full(truth.shape, 9, np.uint8), PIXEL), strange)
    refused = server.save_label(image, strange)
    assert (refused.status_code, "1 lumen, 2 plaque, got [9] as well" in refused.text) == (400, True)
    assert "lumen, plaque" in server.request("GET", "/").text
