"""One server of both models: frames in one folder, volumes in another, each with a state of its own."""

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from typer.testing import CliRunner

import cli
from integration.data import make_study
from integration.server import QUICK, running
from sequal.experiments.volume_folder import make_volumes

pytestmark = [pytest.mark.server, pytest.mark.timeout(400)]

CONF = {
    "models": "carotid,volume",
    "labels": "left_atrium,aorta",
    "volume_spacing": "6,6,6",
    "volume_patch": "32,32,32",
    "auto_scoring": "false",
    "volume.strategy": "random",
}
#: Everything answers below it and without it.
PREFIX = "/monai"
BEHIND = [
    *(("GET", path) for path in ("/info/", "/info", "/logs/?lines=3", "/datastore/", "/ohif/", "/static/index.html")),
    *(("POST", path) for path in ("/train/nope", "/batch/infer/nope", "/infer/carotid", "/activelearning/random")),
    *((method, "/model/carotid") for method in ("GET", "PUT", "DELETE")),
    *(("PUT", path) for path in ("/datastore/label?image=a", "/session/")),
    ("GET", "/proxy/dicom/qido/studies"),
]
TRAINING = {"carotid": QUICK, "volume": {"epochs": 1, "iterations_per_epoch": 2, "batch_labelled": 1}}


def test_a_server_of_both_models_keeps_them_apart(tmp_path: Path) -> None:
    place, state = tmp_path / "study", tmp_path / "state"
    make_study(place / "carotid")
    make_volumes(place / "volume", count=3, labelled=1, shape=(24, 24, 20))
    images = {
        model: {path.name.partition(".")[0] for path in (place / model).glob("*.nii.gz")}
        for model in ("carotid", "volume")
    }
    with running(place, state, variables={"MONAI_LABEL_API_STR": PREFIX}, **CONF) as server:
        client = server.client("anna")
        client.set_server_url(server.url + PREFIX)
        info = client.info()
        assert info["labels"] == ["intima-media", "left atrium", "aorta"]
        assert list(info["trainers"]) == ["carotid", "volume"]
        assert "carotid" in info["models"]
        assert "volume" not in info["models"]  # it has no starting weights
        assert info["datastore"]["total"] == len(images["carotid"]) + len(images["volume"])
        assert info["warnings"] == []

        # Without a model the frames come first; each model can be asked for.
        frame = client.next_sample("random", {})
        volume = client.next_sample("random", {"model": "volume"})
        assert (frame["model"], volume["model"]) == ("carotid", "volume")
        frame, volume = frame["id"], volume["id"]
        assert frame in images["carotid"]
        assert volume in images["volume"]
        assert "imt" in client.infer("carotid", frame, {})[1]
        for model, image, owner in (("carotid", volume, "volume"), ("volume", frame, "carotid")):
            refused = server.request("POST", f"/infer/{model}", params={"image": image})
            assert refused.status_code == 400
            assert f"got '{image}', which is one of `{owner}`" in refused.json()["detail"]

        # At its address, a model has its own default and takes no request for the other.
        own = client.__class__(f"{server.url}{PREFIX}/sequal/volume/").info()
        defaults = [next(iter(told["strategies"])) for told in (info, own)]
        assert (defaults, set(own["strategies"])) == (["layer_entropy_power", "random"], set(info["strategies"]))
        refused = server.request("POST", f"{PREFIX}/sequal/volume/activelearning/random", json={"model": "carotid"})
        assert refused.status_code == 400

        # Behind a second prefix lie MONAI Label's own endpoints, for which none of the app's rules holds.
        for front in (PREFIX, "/sequal/carotid", f"{PREFIX}/sequal/carotid"):
            for method, path in BEHIND:
                closed = server.request(method, f"{front}{PREFIX}{path}", files={"file": b"x"})
                assert (closed.status_code, "got it once more" in closed.text) == (404, True), (method, front, path)
        addresses = server.request("GET", f"{PREFIX}/docs").text
        assert f"{PREFIX}/activelearning/" in addresses
        assert f"{PREFIX}/infer/wsi_v2/" not in addresses  # it only refuses

        # Each label passes the guard of its image's model, and lies with its image.
        truth = place / "volume" / "truth" / f"{volume}.nii.gz"
        assert server.save_label(frame, truth).status_code == 400
        assert server.save_label(volume, truth).status_code == 200
        layer = np.zeros(nib.load(place / "carotid" / f"{frame}.nii.gz").shape, np.uint8)
        layer[:, 30:38] = 1
        drawn = tmp_path / "drawn.nii.gz"
        nib.save(nib.Nifti1Image(layer, np.eye(4)), drawn)
        assert server.save_label(frame, drawn).status_code == 200
        assert (place / "volume" / "labels" / "final" / f"{volume}.nii.gz").is_file()
        assert (place / "carotid" / "labels" / "final" / f"{frame}.nii.gz").is_file()
        status = {model: server.request("GET", "/sequal/status", params={"model": model}).json() for model in images}
        assert {model: one["images"] for model, one in status.items()} == {m: len(i) for m, i in images.items()}
        assert status["volume"]["labelled"] == 2

        asked = CliRunner().invoke(cli.app, ["status", server.url + PREFIX, "--models", "volume"])
        assert asked.exit_code == 0, asked.output
        assert f"Next {len(images['volume']) - 2} by random" in asked.stdout
        annotate = ["annotate", str(place / "volume"), "--server", server.url, "--out", str(tmp_path / "out")]
        refused = CliRunner().invoke(cli.app, annotate)
        assert (refused.exit_code, "Expected `--models` to say which model" in refused.output) == (2, True)

        # A training without a name is one of each.
        assert server.request("POST", "/train/", json=TRAINING).status_code == 200
        assert server.finished("train", 2)["status"] == "DONE", server.log[-3000:]
        stats = client.info()["train_stats"]
        assert stats["volume"]["published"], stats
        assert {model: stats[model]["round"] for model in images} == {"carotid": 1, "volume": 1}
        mask, params = client.infer("volume", volume, {})
        assert nib.load(mask).shape == nib.load(place / "volume" / f"{volume}.nii.gz").shape
        assert params["volumes_ml"].keys() == {"left atrium", "aorta"}
        rounds = server.request("GET", "/sequal/models", params={"model": "volume"}).json()
        assert [one["round"] for one in rounds["models"]] == [1]
        page = server.request("GET", "/").text
        assert 'id="carotid-labelled"' in page
        assert 'id="volume-labelled">2<' in page
    assert (state / "volume" / "published.pt").is_file()
    for model in images:
        assert (state / model / "ledger.db").is_file()
        assert [path.name for path in (state / model / "checkpoints").glob("*.pt")] == ["round-0001.pt"]
