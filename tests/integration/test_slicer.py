import json
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import nibabel as nib
import nrrd
import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813 - as its users write it
import torch
from numpy.typing import NDArray
from PIL import Image
from scipy.spatial.transform import Rotation

from integration.data import FRAMES, HEIGHT, SPACING_MM, WIDTH, frame, label_of, make_study, save_nifti
from integration.server import QUICK, Server, running, wait_for
from integration.slicer import Slicer, calls_of_the_plugin, ras_affine, replayed_calls, write_labelmap
from sequal.anatomy.measurement import boundaries_from_mask, boundaries_from_probability
from sequal.files.imaging import read_frame
from sequal.prediction import load_pair, predict_image
from sequal.settings import Settings

pytestmark = [pytest.mark.server, pytest.mark.timeout(240)]

CLIP_FRAMES = 3
ONE = [("intima-media", 1)]
#: Images that get an empty label, by the suffix in which Slicer sends it.
EMPTY = {".nii.gz": FRAMES[6], ".nrrd": FRAMES[8], ".seg.nrrd": FRAMES[10]}
#: Turned about all three axes, pixels not square, and one with mirrored depth.
OBLIQUE = np.eye(4)
OBLIQUE[:3, :3] = Rotation.from_euler("xyz", [20, 35, -50], degrees=True).as_matrix() @ np.diag([0.08, 0.07, 1.5])
OBLIQUE[:3, 3] = 12.5, -40.0, 7.25
MIRRORED = OBLIQUE @ np.diag([1.0, -1.0, 1.0, 1.0])


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, checkpoint: Path) -> Iterator[Server]:
    """A server of its own: a whole session labels and trains."""
    folder = tmp_path_factory.mktemp("slicer")
    studies, state = make_study(folder / "study"), folder / "state"
    clip = np.stack([frame(200 + index)[0] for index in range(CLIP_FRAMES)], axis=2)
    save_nifti(studies / "oblique.nii.gz", frame(300)[0][:, :, None], OBLIQUE)
    save_nifti(studies / "mirrored.nii.gz", frame(301)[0][:, :, None], MIRRORED)
    save_nifti(studies / "clip.nii.gz", clip, OBLIQUE)
    save_nifti(studies / "empty.nii.gz", np.zeros((WIDTH, HEIGHT, 1), np.uint8))
    Image.fromarray(frame(220)[0].T).save(studies / "picture.png")
    state.mkdir()
    shutil.copy(checkpoint, state / "published.pt")
    with running(studies, state, auto_scoring="false", sessions="true") as started:
        yield started


@pytest.fixture
def slicer(server: Server, tmp_path: Path) -> Slicer:
    plugin = Slicer(server.url, tmp_path)
    plugin.fetch_info()
    return plugin


def _open(slicer: Slicer, server: Server, image: str) -> sitk.Image:
    """The image as if the strategy had asked for it."""
    file = next(path for path in server.studies.iterdir() if path.name.startswith(f"{image}."))
    slicer.sample = {"id": image, "path": str(file), "name": file.name}
    slicer.volume = sitk.ReadImage(str(file))
    return slicer.volume


def _markups(file: Path) -> list[dict[str, Any]]:
    content = json.loads(file.read_text())
    assert content["@schema"].endswith("markups-schema-v1.0.3.json#")
    return list(content["markups"])


def _to_pixels(curve: dict[str, Any], affine: NDArray[np.float64]) -> NDArray[np.float64]:
    """Control points in pixels of the image, by its own affine (RAS)."""
    assert curve["coordinateSystem"] == "LPS"
    ras = np.array([point["position"] for point in curve["controlPoints"]]) * [-1, -1, 1]
    return (ras - affine[:3, 3]) @ np.linalg.inv(affine[:3, :3]).T


def test_a_whole_session(server: Server, slicer: Slicer) -> None:
    assert slicer.models_in_the_box() == ["carotid", "carotid_contours", "carotid_review"]
    assert slicer.autosegmenting_model() == "carotid"
    pixels = slicer.next_sample("pld", local=False)
    assert pixels.shape[-2:] == (HEIGHT, WIDTH)
    assert slicer.original_label() is None

    file, params = slicer.run(slicer.autosegmenting_model())
    mask = sitk.ReadImage(str(file))
    assert list(params["label_names"]) == ["intima-media"]
    np.testing.assert_allclose(ras_affine(mask), ras_affine(slicer.volume), atol=1e-5)

    completed = slicer.info["datastore"]["completed"]
    label = sitk.GetArrayFromImage(mask).T.reshape(*mask.GetSize())
    slicer.save(write_labelmap(slicer.folder / "tmpx1.nii.gz", label, slicer.volume), [("intima-media", 1)])
    assert slicer.info["datastore"]["completed"] == completed + 1
    np.testing.assert_array_equal(server.stored_label(slicer.sample["id"]), label)
    first = slicer.sample["id"]
    slicer.next_sample("pld", local=True)
    assert slicer.sample["id"] != first

    slicer.train("carotid", **QUICK)
    wait_for("the training to run", slicer.training_runs)
    server.finished("train")
    assert not slicer.training_runs()
    slicer.fetch_info()
    stats = next(iter(slicer.info["train_stats"].values()))
    assert stats["total_time"] > 0
    assert stats["epoch"] <= stats["total_epochs"] == QUICK["epochs"]
    assert 0 <= stats["best_metric"] <= 1

    slicer.train("carotid", **{**QUICK, "epochs": 500})
    wait_for("the training to run", slicer.training_runs)
    slicer.stop_training()
    wait_for("the training to stop", lambda: not slicer.training_runs(), seconds=30)
    assert slicer.training()["status"] != "RUNNING"


@pytest.mark.parametrize("image", ["oblique", "mirrored", "clip", FRAMES[0]])
def test_the_mask_lies_on_the_image_in_ras_and_in_lps(server: Server, slicer: Slicer, image: str) -> None:
    volume = _open(slicer, server, image)
    expected = nib.load(server.studies / f"{image}.nii.gz").affine
    np.testing.assert_allclose(ras_affine(volume), expected, atol=1e-5)
    lps, _ = slicer.run("carotid")
    np.testing.assert_allclose(ras_affine(sitk.ReadImage(str(lps))), expected, atol=1e-5)
    ras, _ = server.client().infer("carotid", image, {"result_extension": ".nii.gz"})
    np.testing.assert_allclose(nib.load(ras).affine, expected, atol=1e-5)
    np.testing.assert_array_equal(nrrd.read(str(lps))[0], np.asanyarray(nib.load(ras).dataobj))


def test_the_mask_of_a_picture_lies_where_slicer_shows_the_picture(server: Server, slicer: Slicer) -> None:
    volume = _open(slicer, server, "picture")
    mask = sitk.ReadImage(str(slicer.run("carotid")[0]))
    np.testing.assert_allclose(ras_affine(mask), ras_affine(volume), atol=1e-6)


@pytest.mark.parametrize("image", ["oblique", "mirrored", "clip", FRAMES[5]])
def test_the_curves_lie_on_the_boundary_of_the_image(server: Server, slicer: Slicer, image: str) -> None:
    volume = _open(slicer, server, image)
    file, params = slicer.run("carotid_contours")
    assert file.name.endswith(".json")
    source = read_frame(slicer.sample["path"])
    cpu = torch.device("cpu")
    # A training of the session test may have published another model since the checkpoint of the fixture.
    prediction = predict_image(source, load_pair(server.published, cpu), Settings(), cpu)
    curves = _markups(file)
    assert {curve["type"] for curve in curves} == {"Curve"}
    seen = set()
    for curve in curves:
        points = _to_pixels(curve, ras_affine(volume))
        assert len(points) >= 2
        columns, planes = np.round(points[:, 0]).astype(int), np.round(points[:, 2]).astype(int)
        np.testing.assert_allclose(points[:, 0], columns, atol=1e-3)
        np.testing.assert_allclose(points[:, 2], planes[0], atol=1e-3)
        plane = int(planes[0])
        seen.add(plane)
        side = "li" if curve["name"].startswith("LI") else "ma"
        exact = getattr(boundaries_from_probability(prediction.probability[:, :, plane]), side)[columns]
        np.testing.assert_allclose(points[:, 1], exact, atol=0.1)
        drawn = getattr(boundaries_from_mask(prediction.mask[:, :, plane]), side)[columns]
        assert np.nanmax(np.abs(points[:, 1] - drawn)) <= 0.51
    assert seen == set(range(source.grid[2]))
    imt = params.get("imt_frames", [params["imt"]])[0]
    assert f"IMT mean {imt['mean_mm']:.2f} mm" in curves[0]["description"]
    assert curves[0]["controlPoints"][0]["description"].endswith(" mm")
    measured = {item["name"]: item["value"] for item in curves[1]["measurements"]}
    assert measured["IMT mean"] == pytest.approx(imt["mean_mm"])
    assert measured["IMT max"] == pytest.approx(imt["max_mm"])


def test_curves_of_a_picture_say_pixels(server: Server, slicer: Slicer) -> None:
    _open(slicer, server, "picture")
    file, params = slicer.run("carotid_contours")
    curves = _markups(file)
    assert f"IMT mean {params['imt']['mean_px']:.2f} px" in curves[0]["description"]
    assert "not calibrated" in curves[0]["description"]
    assert all(point["description"].endswith(" px") for point in curves[0]["controlPoints"])
    assert {item["units"] for curve in curves for item in curve["measurements"]} == {"px"}


def test_an_image_without_a_layer_gives_curves_that_say_so(server: Server, slicer: Slicer) -> None:
    _open(slicer, server, "empty")
    file, params = slicer.run("carotid_contours")
    assert params["imt"]["columns"] == 0
    assert [curve["name"] for curve in _markups(file)] == [
        "LI: no intima-media layer found",
        "MA: no intima-media layer found",
    ]
    assert all(curve["controlPoints"] == [] for curve in _markups(file))


@pytest.mark.parametrize(
    "params",
    [
        {"result_extension": ".nrrd", "result_dtype": "uint8", "result_compress": False},
        {"result_extension": ".nii.gz"},
        {"save_label": True},
    ],
)
def test_a_viewer_that_wants_a_mask_is_told_which_model_gives_one(server: Server, params: dict[str, Any]) -> None:
    before = server.client().datastore()["objects"][FRAMES[1]]["labels"]
    reply = server.request(
        "POST", "/infer/carotid_contours", params={"image": FRAMES[1]}, files={"params": (None, json.dumps(params))}
    )
    assert reply.status_code == 400
    assert "`carotid`" in reply.json()["detail"]
    assert server.client().datastore()["objects"][FRAMES[1]]["labels"] == before


def test_a_volume_that_was_opened_in_slicer_is_segmented_in_a_session_and_uploaded(
    server: Server, slicer: Slicer
) -> None:
    file = save_nifti(slicer.folder / "mine.nii.gz", frame(301)[0][:, :, None], MIRRORED)
    session = slicer.open_own(file)
    mask, params = slicer.run("carotid", session_id=session)
    image = sitk.ReadImage(str(mask))
    np.testing.assert_allclose(ras_affine(image), MIRRORED, atol=1e-5)
    assert params["imt"]["columns"] > 0
    slicer.upload(file)
    label = sitk.GetArrayFromImage(image).T.reshape(*image.GetSize())
    slicer.save(write_labelmap(slicer.folder / "tmpx8.nii.gz", label, slicer.volume), ONE)
    np.testing.assert_array_equal(server.stored_label("mine"), label)


def test_every_call_that_the_plugin_makes_is_replayed() -> None:
    called = calls_of_the_plugin()
    assert {"info", "next_sample", "infer", "save_label", "train_start", "auth_enabled", "upload_image"} <= called
    # With a login: tests/integration/test_deployment.py.
    assert called - replayed_calls() == {"update_auth", "auth_valid_token", "auth_token"}


@pytest.mark.parametrize("suffix", [".nii.gz", ".nrrd", ".seg.nrrd"])
def test_an_empty_segment_says_that_the_frame_shows_no_layer(server: Server, slicer: Slicer, suffix: str) -> None:
    """*Submit Label* with the segment that the plugin made and nobody drew in; a look with contours chosen before."""
    image = EMPTY[suffix]
    _open(slicer, server, image)
    slicer.run("carotid_contours")
    if suffix == ".seg.nrrd":  # of empty segments Slicer writes one voxel
        nothing = np.zeros((1, 1, 1), np.uint8)
        file = _segmentation(slicer.folder / "tmpx9.seg.nrrd", nothing, [("intima-media", 0, 1)], "0 0 0")
    else:
        nothing = np.zeros((WIDTH, HEIGHT, 1), np.uint8)
        file = write_labelmap(slicer.folder / f"tmpx9{suffix}", nothing, slicer.volume)
    slicer.save(file, ONE)
    assert not server.stored_label(image).any()
    assert server.client().datastore()["objects"][image]["labels"]["final"]["info"]["no_layer"] is True


def _code_of_the_page(heading: str) -> str:
    """The lines that docs/slicer.md gives for Slicer's Python console, below a heading."""
    page = (Path(__file__).parents[2] / "docs" / "slicer.md").read_text(encoding="utf-8")
    section = page.split(f"## {heading}\n")[1].split("\n## ")[0]
    return section.split("```python\n")[1].split("```")[0]


class _Node:
    """A curve in Slicer's scene."""

    def __init__(self, name: str, points: NDArray[np.float64]) -> None:
        self.name, self.points = name, points

    def GetName(self) -> str:
        return self.name


def _console(slicer: Slicer, code: str, curves: Sequence[_Node] = ()) -> list[tuple[str, list[str]]]:
    """Run lines as Slicer's Python console does; gives what reached the segmentation."""
    loaded: list[tuple[str, list[str]]] = []
    logic = SimpleNamespace(client_id="user-xyz", tmpdir=str(slicer.folder))
    widget = SimpleNamespace(
        current_sample=slicer.sample,
        logic=logic,
        serverUrl=lambda: slicer.url,
        updateSegmentationMask=lambda file, labels: loaded.append((file, labels)),
    )
    module = SimpleNamespace(
        modules=SimpleNamespace(MONAILabelWidget=widget),
        util=SimpleNamespace(
            getNodesByClass=lambda kind: list(curves) if kind == "vtkMRMLMarkupsCurveNode" else [],
            arrayFromMarkupsCurvePoints=lambda node: node.points,
        ),
    )
    exec(compile(code, "console", "exec"), {"slicer": module})
    return loaded


def test_the_page_tells_how_to_skip_an_image(server: Server, slicer: Slicer) -> None:
    slicer.next_sample("random", local=True)
    image = slicer.sample["id"]
    _console(slicer, _code_of_the_page("Skip a frame"))
    skips = {one["image"]: one for one in server.request("GET", "/sequal/status").json()["skips"]}
    assert skips[image]["client"] == "user-xyz"
    assert skips[image]["reason"]
    slicer.next_sample("random", local=True)
    assert slicer.sample["id"] != image
    assert server.request("DELETE", "/sequal/skip", params={"image": image}).status_code == 200


@pytest.mark.parametrize("image", ["oblique", "clip"])
def test_the_page_tells_how_to_make_a_label_of_dragged_curves(server: Server, slicer: Slicer, image: str) -> None:
    volume = _open(slicer, server, image)
    file, _ = slicer.run("carotid_contours")
    mask = sitk.GetArrayFromImage(sitk.ReadImage(str(slicer.run("carotid")[0]))).T.reshape(*volume.GetSize())
    shift = 5 * ras_affine(volume)[:3, 1]  # five pixels down
    nodes = [
        _Node(
            curve["name"],
            np.array([point["position"] for point in curve["controlPoints"]]) * [-1, -1, 1]
            + (shift if curve["name"].startswith("MA") else 0),
        )
        for curve in _markups(file)
    ]
    ((drawn, labels),) = _console(slicer, _code_of_the_page("Draw with curves"), nodes)
    assert labels == ["intima-media"]
    after = sitk.GetArrayFromImage(sitk.ReadImage(drawn)).T.reshape(*volume.GetSize())
    np.testing.assert_allclose(ras_affine(sitk.ReadImage(drawn)), ras_affine(volume), atol=1e-5)
    both = after.any(axis=1) & mask.any(axis=1)
    assert both.sum() > 0.9 * mask.any(axis=1).sum()
    grown = (after.sum(axis=1, dtype=int) - mask.sum(axis=1, dtype=int))[both]
    assert np.abs(grown - 5).max() <= 2
    assert abs(grown.mean() - 5) < 0.3
    slicer.save(write_labelmap(slicer.folder / "tmpx10.nii.gz", after, volume), ONE)
    np.testing.assert_array_equal(server.stored_label(image), after)


def test_an_original_label_is_shown_at_first(server: Server, slicer: Slicer) -> None:
    _open(slicer, server, FRAMES[7])
    label = label_of(FRAMES[7])[:, :, None]
    file = write_labelmap(slicer.folder / "theirs.nii.gz", label, slicer.volume)
    assert server.save_label(FRAMES[7], file, tag="original").status_code == 200
    shown = slicer.original_label()
    assert shown is not None
    np.testing.assert_array_equal(sitk.GetArrayFromImage(sitk.ReadImage(str(shown))).T, label)


IMAGE = FRAMES[9]
#: The annotator's note came first, and `background`, which the plugin leaves out, was in between.
NOTED = [("look here", 1), ("intima-media", 3)]


def _expected(slicer: Slicer, server: Server, shift: int) -> NDArray[np.uint8]:
    """A label that differs from the one before, (W, H)."""
    _open(slicer, server, IMAGE)
    return np.roll(label_of(IMAGE), shift, axis=1)


@pytest.mark.parametrize("suffix", [".nii.gz", ".nrrd"])
@pytest.mark.parametrize("shape", [(WIDTH, HEIGHT, 1), (1, WIDTH, HEIGHT), (WIDTH, HEIGHT)])
def test_a_labelmap_in_any_shape_is_stored(server: Server, slicer: Slicer, suffix: str, shape: tuple[int, ...]) -> None:
    label = _expected(slicer, server, len(shape) + (shape[0] == 1) + 4 * (suffix == ".nrrd"))
    slicer.save(write_labelmap(slicer.folder / f"tmpx2{suffix}", label.reshape(shape), slicer.volume), ONE)
    np.testing.assert_array_equal(server.stored_label(IMAGE), label[:, :, None])


@pytest.mark.parametrize("suffix", [".nii.gz", ".nrrd"])
def test_the_layer_is_known_by_its_name_when_segments_were_added(server: Server, slicer: Slicer, suffix: str) -> None:
    label = _expected(slicer, server, 9 + (suffix == ".nrrd"))
    numbered = np.where(label == 1, 2, 0).astype(np.uint8)
    numbered[3:9, 2:7] = 1
    slicer.save(write_labelmap(slicer.folder / f"tmpx3{suffix}", numbered[:, :, None], slicer.volume), NOTED)
    np.testing.assert_array_equal(server.stored_label(IMAGE), label[:, :, None])


def _segmentation(path: Path, layers: NDArray[np.uint8], segments: list[tuple[str, int, int]], offset: str) -> Path:
    """A `.seg.nrrd` with name, layer and number of its segments, as Slicer's storage node writes it."""
    layered = layers.ndim == 4
    header: dict[str, Any] = {
        "space": "left-posterior-superior",
        "kinds": ["list"] * layered + ["domain"] * 3,
        "space directions": np.vstack([np.full((1, 3), np.nan)] * layered + [np.diag([SPACING_MM, SPACING_MM, 1.0])]),
        "space origin": np.zeros(3),
        "Segmentation_MasterRepresentation": "Binary labelmap",
        "Segmentation_ReferenceImageExtentOffset": offset,
    }
    for number, (name, layer, value) in enumerate(segments):
        header |= {
            f"Segment{number}_ID": f"Segment_{number + 1}",
            f"Segment{number}_Name": name,
            f"Segment{number}_Layer": str(layer),
            f"Segment{number}_LabelValue": str(value),
        }
    nrrd.write(str(path), layers, header)
    return path


def test_a_segmentation_with_overlapping_segments_is_stored(server: Server, slicer: Slicer) -> None:
    label = _expected(slicer, server, 12)
    layers = np.zeros((2, WIDTH, HEIGHT, 1), np.uint8)
    layers[0, 20:60, 20:90] = 1
    layers[1, :, :, 0] = label
    file = _segmentation(
        slicer.folder / "tmpx4.seg.nrrd", layers, [("look here", 0, 1), ("intima-media", 1, 1)], "0 0 0"
    )
    slicer.save(file, NOTED)
    np.testing.assert_array_equal(server.stored_label(IMAGE), label[:, :, None])


def test_a_segmentation_that_was_cropped_is_put_where_it_belongs(server: Server, slicer: Slicer) -> None:
    label = _expected(slicer, server, 13)
    label[:30] = 0
    rows = np.flatnonzero(label.any(axis=0))
    box = label[30:, rows[0] : rows[-1] + 1, None]
    file = _segmentation(slicer.folder / "tmpx5.seg.nrrd", box, [("intima-media", 0, 1)], f"30 {rows[0]} 0")
    slicer.save(file, ONE)
    np.testing.assert_array_equal(server.stored_label(IMAGE), label[:, :, None])


def test_a_segmentation_that_was_drawn_beyond_the_image_is_cut(server: Server, slicer: Slicer) -> None:
    label = _expected(slicer, server, 14)
    wide = np.zeros((WIDTH + 5, HEIGHT, 1), np.uint8)
    wide[3:-2, :, 0] = label
    wide[:3, 40:50] = wide[-2:, 40:50] = 1
    file = _segmentation(slicer.folder / "tmpx6.seg.nrrd", wide, [("intima-media", 0, 1)], "-3 0 0")
    slicer.save(file, ONE)
    np.testing.assert_array_equal(server.stored_label(IMAGE), label[:, :, None])


def test_a_segmentation_of_another_image_is_refused_and_nothing_changes(server: Server, slicer: Slicer) -> None:
    _open(slicer, server, IMAGE)
    before = server.labels()
    other = np.zeros((WIDTH + 40, HEIGHT + 20, 1), np.uint8)
    other[10:90, 30:40] = 1
    file = _segmentation(slicer.folder / "tmpx7.seg.nrrd", other, [("intima-media", 0, 1)], "0 0 0")
    reply = server.save_label(IMAGE, file)
    assert reply.status_code == 400
    assert "the size of its frame" in reply.json()["detail"]
    assert server.labels() == before
