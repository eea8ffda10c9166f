"""Both models on a real PACS: ultrasound, CT, MR and PET in Orthanc, a real server, labels there and back, a round."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import nibabel as nib
import numpy as np
import pydicom_seg
import pytest
import SimpleITK

import ct
from integration import ultrasound
from integration.server import Server, running
from pacs import running_orthanc

pytestmark = [pytest.mark.server, pytest.mark.timeout(400)]

CONF = {"models": "carotid,volume", "labels": "left_atrium,lesion_2", "auto_scoring": "false"}
#: Wildcards and a list; CT, MR and PET of other patients lie outside of it.
FILTER = {"MONAI_LABEL_DICOMWEB_SEARCH_FILTER": '{"Modality": ["U*", "?T", "MR"], "PatientID": "p*"}'}
QUICK = {"epochs": 1, "iterations_per_epoch": 2, "batch_labelled": 1, "model": "volume"}


@dataclass
class Remote:
    """A server on a PACS with volumes.

    Attributes:
        server: the server.
        pacs: DICOMweb address of the PACS.
        volumes: phantom by UID of its series; the third is of PET, in the study of the second; the last is one enhanced
            instance of MR.
        broken: UID of a series with a gap.
        frame: UID of a series of ultrasound.
        outside: UIDs of a CT and of an angiography that the filter does not find.
    """

    server: Server
    pacs: str
    volumes: dict[str, ct.Phantom]
    broken: str
    frame: str
    outside: tuple[str, str]


@pytest.fixture(scope="module")
def remote(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Remote]:
    """Voxel and patch are taken from the PACS."""
    folder = tmp_path_factory.mktemp("remote")
    with running_orthanc(folder / "orthanc") as pacs:
        phantoms = [ct.phantom(seed) for seed in range(4)]
        first, second = (ct.series(volume, f"p{seed}") for seed, volume in enumerate(phantoms[:2]))
        of_pet = ct.series(phantoms[2], "p1", modality="PT")
        for instance in of_pet:
            instance.StudyInstanceUID = second[0].StudyInstanceUID
        of_mr = [ct.enhanced(phantoms[3], "p3", modality="MR")]
        stored = [ultrasound.store(pacs, *instances) for instances in (first, second, of_pet, of_mr)]
        volumes = dict(zip(stored, phantoms, strict=True))
        gap = ct.series(ct.phantom(9), "p9")
        del gap[5]
        broken = ultrasound.store(pacs, *gap)
        frame = ultrasound.store(pacs, *ultrasound.series(1, "p8"))
        of_others = [ct.series(ct.phantom(7), "q1"), ct.series(ct.phantom(8), "q2")]
        for instance in of_others[1]:
            instance.Modality = "XA"
        outside = tuple(ultrasound.store(pacs, *instances) for instances in of_others)
        with running(pacs, folder / "state", variables=FILTER, **CONF) as server:
            yield Remote(server, pacs, volumes, broken, frame, outside)


def _segmentations(remote: Remote, image: str) -> list:
    found = [ultrasound.retrieve(remote.pacs, listed)[0] for listed in ultrasound.stored(remote.pacs, "SEG")]
    return [one for one in found if one.ReferencedSeriesSequence[0].SeriesInstanceUID == image]


def _nifti(path: Path, volume: ct.Phantom) -> Path:
    nib.save(nib.Nifti1Image(volume.truth, volume.affine), path)
    return path


def test_a_label_of_slicer_is_a_segmentation_in_the_pacs_voxel_for_voxel(remote: Remote, tmp_path: Path) -> None:
    server = remote.server
    image, volume = next(iter(remote.volumes.items()))
    assert set(server.client().datastore()["objects"]) >= set(remote.volumes)
    file = tmp_path / "image.nii.gz"
    file.write_bytes(server.request("GET", "/datastore/image", params={"image": image}).content)
    fetched = nib.load(file)
    np.testing.assert_array_equal(np.asanyarray(fetched.dataobj), volume.values)
    np.testing.assert_allclose(fetched.affine, volume.affine, atol=1e-3)

    label = tmp_path / "label.nrrd"
    drawn = SimpleITK.GetImageFromArray(volume.truth.T)
    drawn.CopyInformation(SimpleITK.ReadImage(str(file)))
    SimpleITK.WriteImage(drawn, str(label))
    reply = server.save_label(image, label)
    assert (reply.status_code, reply.json()["pacs"]) == (200, "stored"), reply.text
    np.testing.assert_array_equal(server.stored_label(image), volume.truth)

    (sent,) = _segmentations(remote, image)
    read = pydicom_seg.SegmentReader().read(sent)
    for number, value in ((1, 1), (2, 2)):
        segment = read.segment_image(number)
        grid = SimpleITK.Resample(
            segment, SimpleITK.ReadImage(str(file)), SimpleITK.Transform(), SimpleITK.sitkNearestNeighbor
        )
        np.testing.assert_array_equal(SimpleITK.GetArrayFromImage(grid).T, (volume.truth == value).astype(np.uint8))


def test_the_loop_runs_and_a_broken_series_is_passed_over(remote: Remote, tmp_path: Path) -> None:
    server, client = remote.server, remote.server.client("anna")
    first, *_, of_mr = remote.volumes
    if not _segmentations(remote, first):
        server.save_label(first, _nifti(tmp_path / "label.nii.gz", remote.volumes[first]))
    refused = server.request("POST", "/infer/volume", params={"image": remote.broken})
    assert (refused.status_code, "as where a slice is missing" in refused.text) == (400, True)
    (told,) = client.info()["warnings"]
    assert told.startswith(f"A series of the PACS is left out. Expected series {remote.broken} to have slices at even")
    assert server.request("POST", "/train/volume", json=QUICK).status_code == 200
    assert server.finished("train")["status"] == "DONE", server.log[-3000:]
    assert '<a href="/ohif/">OHIF</a> in the mode <em>MONAI Label</em>' in server.request("GET", "/").text
    asked = {client.next_sample("random", {"model": "volume"})["id"] for _ in range(len(remote.volumes) + 1)}
    assert asked == set(remote.volumes) - {first}

    file, params = client.infer("volume", of_mr, {"result_extension": ".nrrd"})
    mask, volume = SimpleITK.ReadImage(str(file)), remote.volumes[of_mr]
    assert mask.GetSize() == volume.values.shape
    direction = np.array(mask.GetDirection()).reshape(3, 3) * mask.GetSpacing()
    np.testing.assert_allclose(np.diag([-1.0, -1.0, 1.0]) @ direction, volume.affine[:3, :3], atol=1e-3)
    assert params["label_names"] == {"left atrium": 1, "lesion 2": 2}
    sample = server.request("POST", "/sequal/volume/activelearning/random", json={"client_id": "ohif"}).json()
    assert sample == {} or sample["SeriesInstanceUID"] == sample["id"]


def test_the_modality_of_a_series_says_whose_it_is(remote: Remote, tmp_path: Path) -> None:
    server, client = remote.server, remote.server.client("ben")
    volume = next(iter(remote.volumes))
    images = {"carotid": remote.frame, "volume": volume}
    known = client.info()
    assert known["labels"] == ["intima-media", "left atrium", "lesion 2"]
    assert not [line for line in server.log.splitlines() if "Leaving out series" in line and remote.frame in line]
    counted = {}
    for model, image in images.items():
        for other, of_other in images.items():
            reply = server.request("POST", f"/infer/{model}", params={"image": of_other, "output": "json"})
            if other != model:
                assert reply.status_code == 400
                assert f"got '{of_other}', which is one of `{other}`" in reply.json()["detail"]
        # The address of a model: its tasks, its images and its next samples alone.
        place = f"/sequal/{model}"
        own = server.request("GET", f"{place}/info/").json()
        assert set(own["trainers"]) == set(own["train_stats"]) == {model}
        assert all(task.startswith(model) for task in own["models"])
        counted[model] = own["datastore"]["total"]
        listed = server.request("GET", f"{place}/datastore/", params={"output": "all"}).json()["objects"]
        assert image in listed
        assert not set(images.values()) - {image} & set(listed)
        sample = server.request("POST", f"{place}/activelearning/random", json={"client_id": "anna"}).json()
        assert sample["model"] == model
    assert counted["carotid"] == 1
    assert server.request("GET", "/info/").json()["datastore"]["total"] == sum(counted.values())

    # A label is a segmentation of its own series, and counts for its own model.
    pixels = ultrasound.truth(1)
    drawn = tmp_path / "layer.nii.gz"
    nib.save(nib.Nifti1Image(np.repeat(pixels[:, :, None], 2, 2), np.eye(4)), drawn)
    reply = server.save_label(remote.frame, drawn)
    assert (reply.status_code, reply.json()["pacs"]) == (200, "stored"), reply.text
    (sent,) = _segmentations(remote, remote.frame)
    assert sent.SegmentSequence[0].SegmentLabel == "intima-media"
    *_, of_pet, of_mr = remote.volumes
    for image in (of_pet, of_mr):
        reply = server.save_label(image, _nifti(tmp_path / "volume.nii.gz", remote.volumes[image]))
        assert (reply.status_code, reply.json()["pacs"]) == (200, "stored"), reply.text
        np.testing.assert_array_equal(server.stored_label(image), remote.volumes[image].truth)
        assert len(_segmentations(remote, image)) == 1
    status = {model: server.request("GET", f"/sequal/{model}/sequal/status").json() for model in images}
    assert (status["carotid"]["images"], status["carotid"]["labelled"]) == (1, 1)
    assert remote.frame not in server.request("GET", "/sequal/volume/datastore/", params={"output": "train"}).text
    assert server.request("GET", "/sequal/liver/info/").status_code == 404
    script = server.request("GET", "/ohif/app-config.js").text
    assert "sequal-annotate" in script
    assert "@ohif/mode-monai-label" in script


def test_outside_of_the_search_filter_the_modality_says_whose_a_series_is(remote: Remote, tmp_path: Path) -> None:
    server = remote.server
    volume, angiography = remote.outside
    assert not set(remote.outside) & set(server.client().datastore()["objects"])
    for model, image, came in (
        ("carotid", volume, "which is one of `volume`. Ask `volume` for it."),
        ("carotid", angiography, "a series of Modality US, got"),
        ("volume", angiography, "a series of Modality CT or MR or PT, got"),
    ):
        refused = server.request("POST", f"/infer/{model}", params={"image": image})
        told = refused.json()["detail"]
        assert refused.status_code == 400
        assert f"an image of the model `{model}`" in told
        assert came in told
    # Its label counts for the model of its modality.
    reply = server.save_label(volume, _nifti(tmp_path / "volume.nii.gz", ct.phantom(7)))
    assert (reply.status_code, reply.json()["pacs"]) == (200, "stored"), reply.text
    for model, counts in (("carotid", False), ("volume", True)):
        learned = server.request("GET", f"/sequal/{model}/datastore/", params={"output": "train"}).text
        assert (volume in learned) == counts
