"""The loop on volumes over HTTP: a folder of CT and MR, two structures, both asked for by name."""

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from integration.server import running
from sequal.experiments.volume_folder import make_volumes

pytestmark = [pytest.mark.server, pytest.mark.timeout(400)]

CONF = {"models": "volume", "labels": "left_atrium,aorta", "volume_spacing": "6,6,6", "volume_patch": "32,32,32"}
QUICK = {"epochs": 1, "iterations_per_epoch": 2, "batch_labelled": 1, "model": "volume"}


def test_the_loop_runs_on_volumes(tmp_path: Path) -> None:
    studies = tmp_path / "study"
    make_volumes(studies, count=6, labelled=1, shape=(24, 24, 20))
    nib.save(nib.Nifti1Image(np.zeros((24, 24, 1), np.int16), np.diag([6.0, 6.0, 6.0, 1.0])), studies / "slice.nii.gz")
    labelled = {path.name.partition(".")[0] for path in (studies / "labels" / "final").glob("*.nii.gz")}
    with running(studies, tmp_path / "state", auto_scoring="false", **CONF) as server:
        client = server.client("anna")
        info = client.info()
        assert (info["labels"], list(info["trainers"])) == (["left atrium", "aorta"], ["volume"])
        assert "volume" not in info["models"]  # there is no model yet, and clients are not offered one
        assert client.next_sample("pld", {})["id"] not in labelled

        assert server.request("POST", "/train/volume", json=QUICK).status_code == 200
        assert server.finished("train")["status"] == "DONE", server.log[-3000:]
        assert client.info()["train_stats"]["volume"]["published"]

        image = client.next_sample("pld", {})["id"]
        file, params = client.infer("volume", image, {})
        mask, volume = nib.load(file), nib.load(studies / f"{image}.nii.gz")
        assert mask.shape == volume.shape
        np.testing.assert_allclose(mask.affine, volume.affine, atol=1e-4)
        assert params["volumes_ml"].keys() == {"left atrium", "aorta"}
        assert params["label_names"] == {"left atrium": 1, "aorta": 2}

        area, reviewed = client.infer("volume_review", image, {})
        assert nib.load(area).shape == volume.shape
        assert reviewed["label_names"] == {"review": 1}

        truth = studies / "truth" / f"{image}.nii.gz"
        assert server.save_label(image, truth).status_code == 200
        stored = np.asanyarray(nib.load(studies / "labels" / "final" / f"{image}.nii.gz").dataobj)
        np.testing.assert_array_equal(stored, np.asanyarray(nib.load(truth).dataobj))

        measured = server.request("GET", "/sequal/measurement", params={"image": image, "of": "label"}).json()
        voxel_ml = abs(np.linalg.det(volume.affine[:3, :3])) / 1000
        expected = {name: np.count_nonzero(stored == value) * voxel_ml for name, value in params["label_names"].items()}
        assert measured["volumes_ml"] == pytest.approx(expected, abs=1e-3)
        page = server.request("GET", "/").text
        assert "left atrium, aorta in volumes" in page
        assert "/sequal/annotate/" not in page
        assert server.request("GET", "/sequal/annotate/").status_code == 404

        # A segment of another name is left out, and one number too many refused; what was there stays.
        strange = tmp_path / "strange.nii.gz"
        nib.save(nib.Nifti1Image(np.full(volume.shape, 9, np.uint8), volume.affine), strange)
        refused = server.save_label(image, strange)
        assert refused.status_code == 400
        assert "1 left atrium, 2 aorta, got [9] as well" in refused.text
        kept = np.asanyarray(nib.load(studies / "labels" / "final" / f"{image}.nii.gz").dataobj)
        np.testing.assert_array_equal(kept, stored)

        assert server.request("POST", "/infer/carotid", params={"image": image}).status_code == 404

        flat = server.request("POST", "/infer/volume", params={"image": "slice"})
        assert flat.status_code == 400
        assert "a volume of at least 4 slices along each axis, got 24 x 24 x 1" in flat.text
        assert client.next_sample("pld", {})["id"] != "slice"


def test_a_server_of_volumes_needs_names(tmp_path: Path) -> None:
    studies = tmp_path / "study"
    make_volumes(studies, count=2, shape=(16, 16, 12))
    wanted = "Expected `labels` to name what is segmented in volumes"
    with pytest.raises(AssertionError, match=wanted), running(studies, tmp_path / "state", models="volume"):
        pass
