import json
from pathlib import Path
from typing import Any

import nibabel as nib
import nrrd
import numpy as np
import pytest
import SimpleITK
import torch
from numpy.typing import NDArray

from integration.conftest import CLIP_FRAMES
from integration.data import AFFINE, HEIGHT, LYING, SPACING_MM, WIDTH, frame, label_of, save_nifti
from integration.server import Server, wait_for
from sequal.settings import Settings
from sequal.study.state import StudyState

pytestmark = [pytest.mark.server, pytest.mark.timeout(180)]

LENGTHS = ("mean", "max", "sd", "length", "polyline_mean")
IMT_KEYS = {"columns", "calibrated", "calibration_source", "flags"}
IMAGE = "p04_left"


def _dice(mask: NDArray[Any], truth: NDArray[Any]) -> float:
    return float(2 * np.sum((mask == 1) & (truth == 1)) / (np.sum(mask == 1) + np.sum(truth == 1)))


def _infer(server: Server, image: str, **params: Any) -> tuple[Path, dict[str, Any]]:
    file, answer = server.client().infer("carotid", image, params)
    return Path(file), answer


def test_the_mask_lies_on_the_grid_of_its_image(server: Server) -> None:
    file, _ = _infer(server, IMAGE)
    result, image = nib.load(file), nib.load(server.studies / f"{IMAGE}.nii.gz")
    assert result.shape == image.shape == (WIDTH, HEIGHT, 1)
    np.testing.assert_allclose(result.affine, image.affine, atol=1e-5)
    mask = np.asanyarray(result.dataobj)
    assert mask.dtype == np.uint8
    assert set(np.unique(mask)) <= {0, 1}
    assert _dice(mask[:, :, 0], label_of(IMAGE)) > 0.5


def test_the_params_are_those_of_the_contract(server: Server) -> None:
    _, params = _infer(server, IMAGE)
    assert set(params) == {
        "pld",
        "confidence",
        "predicted_dice",
        "imt",
        "of_mask",
        "label_names",
        "latencies",
        "centroids",
    }
    assert params["pld"] >= 0
    assert 0 <= params["confidence"] <= 1
    assert 0 <= params["predicted_dice"] <= 1
    assert params["label_names"] == {"intima-media": 1}
    imt = params["imt"]
    assert set(imt) == {f"{name}_mm" for name in LENGTHS} | IMT_KEYS
    assert imt["calibrated"] is True
    assert imt["calibration_source"] == "nifti spacing"
    assert 0 < imt["columns"] <= WIDTH
    assert imt["length_mm"] == pytest.approx(imt["columns"] * SPACING_MM, rel=1e-4)
    assert 0 < imt["mean_mm"] <= imt["max_mm"] < HEIGHT * SPACING_MM
    whole = params["of_mask"]["imt"]
    assert whole.keys() == imt.keys()
    assert whole["mean_mm"] == pytest.approx(imt["mean_mm"], abs=0.5 * SPACING_MM)
    assert whole["max_mm"] == pytest.approx(SPACING_MM * round(whole["max_mm"] / SPACING_MM))


def test_ohif_gets_a_raw_nrrd(server: Server) -> None:
    params = {"result_extension": ".nrrd", "result_dtype": "uint8", "result_compress": False}
    reply = server.request(
        "POST",
        "/infer/carotid",
        params={"image": IMAGE, "output": "image"},
        files={"params": (None, json.dumps(params))},
    )
    assert reply.status_code == 200
    head, data = reply.content.split(b"\n\n", 1)
    assert b"encoding: raw" in head
    assert b"type: uint8" in head or b"type: unsigned char" in head
    assert f"sizes: {WIDTH} {HEIGHT} 1".encode() in head
    assert len(data) == WIDTH * HEIGHT
    nifti, _ = _infer(server, IMAGE)
    expected = np.asanyarray(nib.load(nifti).dataobj)
    np.testing.assert_array_equal(np.frombuffer(data, np.uint8), expected.ravel(order="F"))


def test_slicer_gets_an_nrrd_with_the_geometry(server: Server) -> None:
    file, params = _infer(server, IMAGE, result_extension=".nrrd", result_dtype="uint8")
    mask, header = nrrd.read(str(file), index_order="F")
    assert mask.shape == (WIDTH, HEIGHT, 1)
    assert header["space"] == "left-posterior-superior"
    to_lps = np.diag([-1.0, -1.0, 1.0])
    np.testing.assert_allclose(header["space directions"], (to_lps @ AFFINE[:3, :3]).T, atol=1e-5)
    np.testing.assert_allclose(header["space origin"], to_lps @ AFFINE[:3, 3], atol=1e-5)
    assert "imt" in params


def test_a_clip_is_answered_frame_by_frame(server: Server) -> None:
    file, params = _infer(server, "clip")
    result = nib.load(file)
    assert result.shape == (WIDTH, HEIGHT, CLIP_FRAMES)
    np.testing.assert_allclose(result.affine, AFFINE, atol=1e-5)
    assert len(params["imt_frames"]) == CLIP_FRAMES
    assert params["imt"]["columns"] == sum(one["columns"] for one in params["imt_frames"])
    for index in range(CLIP_FRAMES):
        assert _dice(np.asanyarray(result.dataobj)[:, :, index], frame(200 + index)[1]) > 0.5


def test_a_flat_nifti_stays_flat(server: Server) -> None:
    file, params = _infer(server, "flat")
    result = nib.load(file)
    assert result.shape == (WIDTH, HEIGHT)
    np.testing.assert_allclose(result.affine, LYING, atol=1e-5)
    assert params["imt"]["calibrated"] is True


def test_a_flat_nifti_that_stands_on_its_edge_gets_a_mask_that_itk_can_open(server: Server) -> None:
    file, _ = _infer(server, "standing")
    result = nib.load(file)
    assert result.shape == (WIDTH, HEIGHT, 1)
    np.testing.assert_allclose(result.affine, AFFINE, atol=1e-5)
    assert SimpleITK.ReadImage(str(file)).GetSize() == (WIDTH, HEIGHT, 1)


def test_a_picture_is_measured_in_pixels(server: Server) -> None:
    file, params = _infer(server, "picture")
    assert nib.load(file).shape == (WIDTH, HEIGHT)
    imt = params["imt"]
    assert set(imt) == {f"{name}_px" for name in LENGTHS} | IMT_KEYS
    assert imt["calibrated"] is False
    assert "not_calibrated" in imt["flags"]


def test_a_file_sent_along_is_answered_like_the_same_image_of_the_study(server: Server) -> None:
    image = server.studies / f"{IMAGE}.nii.gz"
    file, params = server.client().infer("carotid", "", {}, file=str(image))
    expected, expected_params = _infer(server, IMAGE)
    assert params["imt"] == expected_params["imt"]
    np.testing.assert_array_equal(nib.load(file).get_fdata(), nib.load(expected).get_fdata())


@pytest.mark.parametrize(
    ("model", "image", "params", "status", "words"),
    [
        ("carotid", "nobody", {}, 404, "nobody"),
        ("carotid", "../conftest.py", {}, 404, "conftest"),
        ("liver", IMAGE, {}, 404, "liver"),
        ("carotid", IMAGE, {"result_extension": ".jpg"}, 400, "result_extension"),
        ("carotid", IMAGE, {"result_dtype": "pixels"}, 400, "result_dtype"),
    ],
)
def test_a_wrong_request_is_answered_with_its_reason(
    server: Server, model: str, image: str, params: dict[str, str], status: int, words: str
) -> None:
    reply = server.request(
        "POST", f"/infer/{model}", params={"image": image}, files={"params": (None, json.dumps(params))}
    )
    assert reply.status_code == status
    assert words in reply.json()["detail"]


def test_a_file_that_is_no_image_is_refused_with_its_reason(server: Server, tmp_path: Path) -> None:
    note = tmp_path / "note.nii.gz"
    note.write_text("not an image")
    with note.open("rb") as file:
        reply = server.request("POST", "/infer/carotid", files={"file": (note.name, file)})
    assert reply.status_code == 400
    assert "readable nifti file" in reply.json()["detail"]


def test_a_checkpoint_with_code_is_refused_and_the_server_goes_on(server: Server, tmp_path: Path) -> None:
    good = server.published.read_bytes()
    trace = tmp_path / "was-run"

    class Code:
        def __reduce__(self) -> tuple[Any, ...]:
            return Path.touch, (trace,)

    try:
        torch.save({"format": 1, "student": Code()}, server.published)
        reply = server.request("POST", "/infer/carotid", params={"image": IMAGE})
        assert reply.status_code == 500
        assert "plain tensors" in reply.json()["detail"]
        assert not trace.exists()
    finally:
        server.published.write_bytes(good)
    assert _infer(server, IMAGE)[1]["pld"] >= 0


def test_a_float_result_is_given_when_asked_for(server: Server) -> None:
    file, _ = _infer(server, IMAGE, result_dtype="float32")
    assert nib.load(file).get_data_dtype() == np.float32


def test_the_reply_leaves_no_files_behind(server: Server, tmp_path: Path) -> None:
    before = set(server.temporary.iterdir())
    _infer(server, IMAGE)
    save_nifti(tmp_path / "sent.nii.gz", frame(7)[0][:, :, None])
    server.client().infer("carotid", "", {}, file=str(tmp_path / "sent.nii.gz"))
    # The server removes them after it has answered.
    wait_for("the files to be removed", lambda: set(server.temporary.iterdir()) <= before, seconds=20)


def test_the_area_to_look_at_is_a_segment_of_its_own_and_never_a_label(server: Server) -> None:
    _, said = _infer(server, IMAGE)
    file, params = server.client().infer("carotid_review", IMAGE, {"result_extension": ".nrrd"})
    area, _ = nrrd.read(file)
    assert area.shape == (WIDTH, HEIGHT, 1)
    assert set(np.unique(area)) <= {0, 1}
    assert params["label_names"] == {"review": 1}
    assert params["predicted_dice"] == pytest.approx(said["predicted_dice"])
    assert params["imt"] == said["imt"]
    told = server.client().info()["models"]["carotid_review"]
    assert (told["labels"], told["type"]) == ({"review": 1}, "segmentation")

    before = server.labels()
    asked = {"params": json.dumps({"save_label": True, "label_tag": "original"})}
    reply = server.request("POST", "/infer/carotid_review", params={"image": IMAGE}, data=asked)
    assert server.labels() == before
    assert "original" not in server.client().datastore()["objects"][IMAGE]["labels"]
    assert reply.status_code in (200, 400)


def test_a_submitted_area_is_refused_with_and_without_its_name(server: Server, tmp_path: Path) -> None:
    drawn = np.zeros((WIDTH, HEIGHT, 1), np.uint8)
    drawn[40:60, 50:60] = 1
    StudyState.open(server.state, Settings()).reviewed.put(IMAGE, drawn)
    before = server.labels()
    named = {"params": json.dumps({"label_info": [{"name": "review", "idx": 1, "model_name": "carotid_review"}]})}
    for form in (named, {"params": "{}"}):
        with save_nifti(tmp_path / "label.nii.gz", drawn).open("rb") as stream:
            files = {"label": ("label.nii.gz", stream)}
            reply = server.request("PUT", "/datastore/label", params={"image": IMAGE}, files=files, data=form)
        assert reply.status_code == 400
        assert "review" in reply.text
    assert server.labels() == before
