"""Volumes on a real PACS: series of CT and MR in Orthanc, a real server, labels there and back, a round."""

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

CONF = {"models": "volume", "labels": "left_atrium,lesion_2", "auto_scoring": "false"}
QUICK = {"epochs": 1, "iterations_per_epoch": 2, "batch_labelled": 1, "model": "volume"}


@dataclass
class Remote:
    """A server on a PACS with volumes.

    Attributes:
        server: the server.
        pacs: DICOMweb address of the PACS.
        volumes: phantom by UID of its series; the last is of MR.
        broken: UID of a series with a gap.
    """

    server: Server
    pacs: str
    volumes: dict[str, ct.Phantom]
    broken: str


@pytest.fixture(scope="module")
def remote(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Remote]:
    """Voxel and patch are taken from the PACS."""
    folder = tmp_path_factory.mktemp("remote")
    with running_orthanc(folder / "orthanc") as pacs:
        volumes = {}
        for seed, modality in enumerate(("CT", "CT", "CT", "MR")):
            volume = ct.phantom(seed)
            volumes[ultrasound.store(pacs, *ct.series(volume, f"p{seed}", modality=modality))] = volume
        gap = ct.series(ct.phantom(9), "p9")
        del gap[5]
        broken = ultrasound.store(pacs, *gap)
        ultrasound.store(pacs, *ultrasound.series(1, "p8"))
        with running(pacs, folder / "state", **CONF) as server:
            yield Remote(server, pacs, volumes, broken)


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
    assert server.request("POST", "/train/volume", json=QUICK).status_code == 200
    assert server.finished("train")["status"] == "DONE", server.log[-3000:]
    assert '<a href="/ohif/">OHIF</a> in the mode <em>MONAI Label</em>' in server.request("GET", "/").text
    asked = {client.next_sample("random", {})["id"] for _ in range(len(remote.volumes) + 1)}
    assert asked == set(remote.volumes) - {first}

    file, params = client.infer("volume", of_mr, {"result_extension": ".nrrd"})
    mask, volume = SimpleITK.ReadImage(str(file)), remote.volumes[of_mr]
    assert mask.GetSize() == volume.values.shape
    direction = np.array(mask.GetDirection()).reshape(3, 3) * mask.GetSpacing()
    np.testing.assert_allclose(np.diag([-1.0, -1.0, 1.0]) @ direction, volume.affine[:3, :3], atol=1e-3)
    assert params["label_names"] == {"left atrium": 1, "lesion 2": 2}
    sample = server.request("POST", "/activelearning/random", json={"client_id": "ohif"}).json()
    assert sample == {} or sample["SeriesInstanceUID"] == sample["id"]
