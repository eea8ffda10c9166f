"""The whole way on a PACS: real Orthanc, real server; with the PACS down at every moment that matters."""

import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import nibabel as nib
import numpy as np
import pydicom_seg
import pytest
import SimpleITK
from numpy.typing import NDArray
from pydicom.uid import RLELossless

from integration import ultrasound
from integration.data import HEIGHT, WIDTH
from integration.server import Server, free_port, running, task_result, wait_for
from pacs import running_orthanc
from sequal.files.dicom import ImageIdentity, OutgoingLabel, label_segmentation
from sequal.settings import Settings
from sequal.study.state import Split, StudyState, file_digest

pytestmark = [pytest.mark.server, pytest.mark.timeout(400)]

#: Two frames of each of these patients.
PATIENTS = ("p1", "p2", "p3", "p4")
CLIP_SEED, CLIP_FRAMES = 100, 3


@dataclass
class Remote:
    """A server on a PACS.

    Attributes:
        server: the server.
        pacs: DICOMweb address of the PACS.
        frames: UID by seed of the frames; the two of a patient follow each other.
        labelled: those whose label another station had sent before.
        clip: UID of a clip.
        other: UID of a CT series.
        broken: UID of an ultrasound series without its pixels.
    """

    server: Server
    pacs: str
    frames: list[str]
    labelled: list[str]
    clip: str
    other: str
    broken: str


def _fill(pacs: str) -> dict[str, object]:
    frames, labelled = [], []
    for seed in range(2 * len(PATIENTS)):
        instances = ultrasound.series(seed, PATIENTS[seed // 2])
        frames.append(ultrasound.store(pacs, *instances))
        if seed in (0, 2, 4):  # of three patients
            values = ultrasound.truth(seed)[:, :, None]
            label = OutgoingLabel("final", values, 1_700_000_000)
            segmentation = label_segmentation(instances, label, ImageIdentity("p", str(seed), "other station"))
            ultrasound.store(pacs, segmentation)
            labelled.append(frames[-1])
            if seed == 0:
                segmentation.SeriesInstanceUID += ".1"
                segmentation.SOPInstanceUID = segmentation.file_meta.MediaStorageSOPInstanceUID = "1.2.3.4"
                segmentation.PixelData = segmentation.PixelData[:10]
                segmentation.ContentDate = "20300101"
                ultrasound.store(pacs, segmentation)
    clip = ultrasound.store(pacs, *ultrasound.series(CLIP_SEED, "p5", frames=CLIP_FRAMES))
    other, broken = ultrasound.series(200, "p6"), ultrasound.series(201, "p6")
    for instance in other:
        instance.Modality = "CT"
    for instance in broken:
        instance.PixelData = instance.PixelData[:100]
    return {
        "frames": frames,
        "labelled": labelled,
        "clip": clip,
        "other": ultrasound.store(pacs, *other),
        "broken": ultrasound.store(pacs, *broken),
    }


@pytest.fixture(scope="module")
def remote(tmp_path_factory: pytest.TempPathFactory, checkpoint: Path) -> Iterator[Remote]:
    """With none of MONAI Label's settings for a PACS, whose defaults (CT, two hours of cache) would not do."""
    folder = tmp_path_factory.mktemp("remote")
    (folder / "state").mkdir()
    shutil.copy(checkpoint, folder / "state" / "published.pt")
    with running_orthanc(folder / "orthanc") as pacs:
        filled = _fill(pacs)
        with running(pacs, folder / "state", auto_scoring="false", validation_fraction="0.2") as server:
            yield Remote(server, pacs, **filled)


def _bare(folder: Path, values: NDArray[np.uint8]) -> Path:
    """The bytes that OHIF sends."""
    path = folder / "label.bin"
    path.write_bytes(values.ravel(order="F").tobytes())
    return path


def _in_the_pacs(pacs: str, image: str) -> list[NDArray[np.uint8]]:
    """Labels of an image as pydicom-seg reads them, `(W, H, slices)`, the newest last."""
    found = []
    for listed in ultrasound.stored(pacs, "SEG"):
        (dataset,) = ultrasound.retrieve(pacs, listed)
        if dataset.ReferencedSeriesSequence[0].SeriesInstanceUID == image:
            image_of = pydicom_seg.MultiClassReader().read(dataset).image
            found.append((f"{dataset.ContentDate}{dataset.ContentTime}", SimpleITK.GetArrayFromImage(image_of).T))
    return [values for _, values in sorted(found, key=lambda entry: entry[0])]


def test_ultrasound_is_listed_and_labels_of_other_stations_count_once(remote: Remote) -> None:
    status = remote.server.client().info()["datastore"]
    assert (status["total"] - status["completed"], status["completed"]) >= (1, len(remote.labelled))
    objects = remote.server.client().datastore()["objects"]
    assert {*remote.frames, remote.clip} <= set(objects)
    assert remote.other not in objects
    # The newest segmentation of the first image cannot be read: it is named, and the one before counts.
    np.testing.assert_array_equal(
        remote.server.stored_label(remote.labelled[0]), np.repeat(ultrasound.truth(0)[:, :, None], 2, axis=2)
    )
    assert "Leaving out segmentation" in remote.server.log


def test_next_sample_tells_ohif_what_to_open_and_is_leased(remote: Remote) -> None:
    asked = [remote.server.client(name).next_sample("pld", {}) for name in ("anna", "bob")]
    assert asked[0]["id"] != asked[1]["id"]
    for sample in asked:
        assert sample["SeriesInstanceUID"] == sample["id"]
        (listed,) = (one for one in ultrasound.stored(remote.pacs, "US") if one.SeriesInstanceUID == sample["id"])
        assert sample["StudyInstanceUID"] == listed.StudyInstanceUID
        assert sample["id"] not in remote.labelled
    assert remote.broken not in {sample["id"] for sample in asked}


def test_a_frame_is_measured_once_and_masked_on_both_slices(remote: Remote) -> None:
    file, params = remote.server.client().infer("carotid", remote.frames[1], {"result_extension": ".nrrd"})
    mask = SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(file))).T
    assert mask.shape == (WIDTH, HEIGHT, 2)
    assert mask.any()
    np.testing.assert_array_equal(mask[:, :, 0], mask[:, :, 1])
    assert "imt_frames" not in params
    assert params["imt"]["calibrated"]
    file, params = remote.server.client().infer("carotid", remote.clip, {})
    assert nib.load(file).shape == (WIDTH, HEIGHT, CLIP_FRAMES)
    assert len(params["imt_frames"]) == CLIP_FRAMES


def test_compressed_and_coloured_series_are_images_too(remote: Remote) -> None:
    coloured, compressed = ultrasound.series(300, "p7"), ultrasound.series(301, "p7")
    for instance in coloured:
        grey = np.frombuffer(instance.PixelData, np.uint8)
        instance.SamplesPerPixel, instance.PhotometricInterpretation, instance.PlanarConfiguration = 3, "RGB", 0
        instance.PixelData = np.repeat(grey, 3).tobytes()
    for instance in compressed:
        instance.compress(RLELossless)
    for instances in (coloured, compressed):
        image = ultrasound.store(remote.pacs, *instances)
        file, params = remote.server.client().infer("carotid", image, {})
        assert nib.load(file).shape == (WIDTH, HEIGHT, 2)
        assert params["imt"]["calibrated"]


def test_the_edited_slice_is_the_label_here_and_in_the_pacs(remote: Remote, tmp_path: Path) -> None:
    image = remote.frames[3]
    file, _ = remote.server.client().infer("carotid", image, {})
    label = np.asanyarray(nib.load(file).dataobj).copy()
    edited = label[:, :, 1]
    assert edited.any()
    columns = np.flatnonzero(edited.any(axis=1))
    edited[columns[0]] = 0  # erased
    edited[columns[-1], :4] = 1  # drawn
    before = remote.server.client().info()["datastore"]["completed"]
    for _ in range(2):
        reply = remote.server.save_label(image, _bare(tmp_path, label))
        assert (reply.status_code, reply.json()["pacs"]) == (200, "stored"), reply.text
    assert remote.server.client().info()["datastore"]["completed"] == before + 1
    np.testing.assert_array_equal(remote.server.stored_label(image), np.stack([edited, edited], axis=2))
    stored = _in_the_pacs(remote.pacs, image)
    assert len(stored) == 2
    np.testing.assert_array_equal(stored[-1], np.stack([edited, edited], axis=2))


def test_a_label_without_a_layer_is_in_the_pacs_as_a_segmentation(remote: Remote, tmp_path: Path) -> None:
    image = remote.frames[7]
    reply = remote.server.save_label(image, _bare(tmp_path, np.zeros((WIDTH, HEIGHT, 2), np.uint8)))
    assert (reply.status_code, reply.json()["pacs"]) == (200, "stored"), reply.text
    listed = [ultrasound.retrieve(remote.pacs, one) for one in ultrasound.stored(remote.pacs, "SEG")]
    (sent,) = [one for (one,) in listed if one.ReferencedSeriesSequence[0].SeriesInstanceUID == image]
    assert (sent.ContentLabel, sent.pixel_array.any()) == ("NO_LAYER", False)
    label = remote.server.client().datastore()["objects"][image]["labels"]["final"]
    assert label["info"]["no_layer"] is True
    assert not remote.server.stored_label(image).any()


def test_the_labels_of_a_clip_are_per_frame_here_and_in_the_pacs(remote: Remote, tmp_path: Path) -> None:
    label = np.zeros((WIDTH, HEIGHT, CLIP_FRAMES), np.uint8)
    label[20:60, 50:58, 0] = label[80:90, 60:66, 2] = 1
    assert remote.server.save_label(remote.clip, _bare(tmp_path, label)).status_code == 200
    np.testing.assert_array_equal(remote.server.stored_label(remote.clip), label)
    (stored,) = _in_the_pacs(remote.pacs, remote.clip)
    np.testing.assert_array_equal(stored, label)


def test_a_round_and_a_scoring_run_as_on_a_folder(remote: Remote) -> None:
    server = remote.server
    task = server.train()
    assert task["status"] == "DONE", task
    stats = server.stats()
    assert "error" not in stats, stats
    assert stats["trained_on"] >= 2
    pairs = server.request("GET", "/datastore/", params={"output": "train"})
    assert pairs.status_code == 200
    assert len(pairs.json()) == server.client().info()["datastore"]["completed"]

    # The frozen split is by patient, under pseudonyms, and the two frames of a patient are on one side of it.
    state = StudyState.open(server.state, Settings())
    split = Split.load(state.split_file)
    assert split.patients
    assert not split.patients & {*PATIENTS, "p5", "p6"}
    assert split.images <= {*remote.frames, remote.clip}

    task = server.score()
    assert task["status"] == "DONE", task
    assert set(task_result(task)["left_out"]) <= {remote.broken}
    objects = server.client().datastore()["objects"]
    unlabelled = {image for image, entry in objects.items() if "final" not in entry["labels"]}
    assert set(state.ledger.scores(file_digest(server.published), "pld")) >= unlabelled
    assert remote.broken not in unlabelled
    assert f"Leaving out series {remote.broken}" in server.log


def test_what_is_no_image_of_the_study_is_refused_with_the_reason(remote: Remote) -> None:
    refused = remote.server.request("POST", "/infer/carotid", params={"image": remote.other})
    assert refused.status_code == 400
    assert "to be a series of Modality US, got" in refused.json()["detail"]
    refused = remote.server.request("POST", "/infer/carotid", params={"image": remote.broken})
    assert refused.status_code == 400
    assert "Send the series to the PACS again" in refused.json()["detail"]
    assert remote.server.request("POST", "/infer/carotid", params={"image": "1.2.3"}).status_code == 404


def test_a_label_that_does_not_fit_is_refused_and_kept(remote: Remote, tmp_path: Path) -> None:
    image = remote.frames[5]
    refused = remote.server.save_label(image, _bare(tmp_path, np.ones((WIDTH, HEIGHT + 1, 2), np.uint8)))
    assert refused.status_code == 400
    assert "whole slices" in refused.json()["detail"]
    assert list((remote.server.state / "rejected").glob(f"{image}*"))
    assert _in_the_pacs(remote.pacs, image) == []


def test_a_pacs_that_goes_and_comes_back_costs_no_label(tmp_path: Path, checkpoint: Path) -> None:
    """Down at start, during next sample and during save; and a server that is restarted meanwhile."""
    port, folder, state = free_port(), tmp_path / "orthanc", tmp_path / "state"
    pacs = f"http://127.0.0.1:{port}/dicom-web"
    state.mkdir()
    shutil.copy(checkpoint, state / "published.pt")
    label = _bare(tmp_path, np.repeat(ultrasound.truth(0)[:, :, None], 2, axis=2))
    with running(pacs, state, auto_scoring="false") as server:
        assert server.client().info()["datastore"]["total"] == 0
        silent = server.request("POST", "/activelearning/random", json={})
        assert silent.status_code == 503
        assert f"Expected {pacs} to list its series" in silent.json()["detail"]
        with running_orthanc(folder, port=port):
            image = ultrasound.store(pacs, *ultrasound.series(0, "p1"))
            ultrasound.store(pacs, *ultrasound.series(1, "p2"))
            wait_for("the server to see the PACS", lambda: server.client().info()["datastore"]["total"] == 2)
            assert server.request("POST", "/infer/carotid", params={"image": image}).status_code == 200

        silent = server.request("POST", "/activelearning/random", json={})
        assert silent.status_code == 503
        assert StudyState.open(state, Settings()).ledger.leased() == {}
        saved = server.save_label(image, label)
        assert saved.status_code == 200
        assert saved.json()["pacs"] == "waiting"
        assert "Start the PACS" in saved.json()["reason"]
        assert server.client().info()["datastore"]["completed"] == 1
        assert server.train()["status"] == "DONE"

    with running(pacs, state, auto_scoring="false") as server:
        assert server.client().info()["datastore"] == {"total": 2, "completed": 1, "label_tags": {"final": 1}}
        with running_orthanc(folder, port=port):
            (stored,) = wait_for("the label to reach the PACS", lambda: _in_the_pacs(pacs, image))
            np.testing.assert_array_equal(stored[:, :, 0], ultrasound.truth(0))
            assert server.client().next_sample("random", {})["id"] != image
            assert len(_in_the_pacs(pacs, image)) == 1


def test_of_servers_on_two_computers_the_second_one_is_refused(
    tmp_path_factory: pytest.TempPathFactory, checkpoint: Path
) -> None:
    """Each has a folder for temporary files of its own here, as on two computers: only the PACS tells of the other."""
    folder = tmp_path_factory.mktemp("two")
    with running_orthanc(folder / "orthanc") as pacs:
        images = [ultrasound.store(pacs, *ultrasound.series(seed, f"p{seed}")) for seed in range(3)]
        for name in "ab":
            (folder / name).mkdir()
            shutil.copy(checkpoint, folder / name / "published.pt")
        with (
            running(pacs, folder / "a", auto_scoring="false") as first,
            running(pacs, folder / "b", auto_scoring="false") as second,
        ):
            assert second.request("POST", "/activelearning/random", json={}).status_code == 200
            label = _bare(folder, ultrasound.truth(0)[:, :, None])
            time.sleep(1.1)  # segmentations tell whole seconds: one of a server's first second could be an older one
            assert first.save_label(images[0], label).json()["pacs"] == "stored"

            def refused() -> str | None:
                reply = second.request("POST", "/activelearning/random", json={"client_id": "late"})
                return reply.text if reply.status_code == 409 else None

            assert "--conf state" in wait_for("the refusal", refused, 30)
            assert second.request("POST", "/train/carotid", json={}).status_code == 409
            assert second.request("POST", "/train/", json={}).status_code == 409
            assert any("state of its own" in warning for warning in second.client().info()["warnings"])
            # What was drawn meanwhile is not lost, and the first server goes on.
            assert second.save_label(images[1], label).json()["pacs"] == "stored"
            assert first.request("POST", "/activelearning/random", json={}).status_code == 200

            def seen() -> bool:
                return "final" in first.client().datastore()["objects"][images[1]]["labels"]

            assert wait_for("the other's label", seen, 30)
