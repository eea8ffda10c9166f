"""Volumes in a PACS: a series is an image, a label goes there as a segmentation and comes back voxel for voxel."""

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from fastapi import HTTPException
from monailabel.config import Settings as ServerSettings
from numpy.typing import NDArray

import ct
from lib.datastores import DicomWebStudy, LabelGuard, pacs_plan, with_pacs_plan
from lib.datastores import listing as listing_module
from lib.datastores.outbox import Outbox
from sequal.errors import PacsError, SettingsError
from sequal.files.dicom import ImageIdentity, OutgoingLabel, label_segmentation
from sequal.files.imaging import read_frame, read_label
from sequal.files.imaging.volume_slices import volume_slices
from sequal.settings import Settings
from sequal.study.state import StudyState
from unit.datastores.fake_archive import FakeArchive, ultrasound

CONF = {"models": "volume", "labels": ",".join(ct.LABELS), "volume_spacing": "4,4,4", "volume_patch": "32,32,32"}


@pytest.fixture
def archive() -> FakeArchive:
    return FakeArchive()


@pytest.fixture
def opened(archive: FakeArchive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(listing_module, "_FRESH_S", 0.0)
    monkeypatch.setattr(Outbox, "start", lambda outbox: None)
    settings = Settings.from_conf(CONF)

    def open_study(name: str = "state") -> DicomWebStudy:
        state = StudyState.open(tmp_path / name, settings)
        return DicomWebStudy(archive, {}, state, LabelGuard(state, settings))

    return open_study


def _file(folder: Path, label: NDArray[np.uint8], affine: NDArray[np.float64]) -> str:
    nib.save(nib.Nifti1Image(label, affine), folder / "label.nii.gz")
    return str(folder / "label.nii.gz")


def _stored(study: DicomWebStudy, image: str) -> NDArray[np.uint8]:
    return read_label(study.get_label_uri(image, "final"), ct.SHAPE, labels={"left atrium": 1, "lesion 2": 2})


@pytest.mark.parametrize("form", ["instances", "enhanced"])
def test_a_label_comes_back_from_the_pacs_voxel_for_voxel(archive, opened, tmp_path, form) -> None:
    volume = ct.phantom()
    image = archive.put(*(ct.series(volume) if form == "instances" else [ct.enhanced(volume)]))
    study = opened()
    frame = read_frame(study.get_image_uri(image))
    np.testing.assert_array_equal(frame.pixels, volume.values)
    np.testing.assert_allclose(frame.affine, volume.affine, atol=1e-3)

    label = volume.truth.copy()
    label[0, :, :] = 255
    study.save_label(image, _file(tmp_path, label, volume.affine), "final", {})
    assert study.delivery(image) == {"pacs": "stored"}
    np.testing.assert_array_equal(_stored(study, image), label)

    # A server that begins with an empty folder has it from the PACS alone.
    other = opened("other")
    assert other.get_labeled_images() == [image]
    np.testing.assert_array_equal(_stored(other, image), label)
    np.testing.assert_allclose(nib.load(other.get_label_uri(image, "final")).affine, volume.affine, atol=1e-3)

    (sent,) = archive.labels_of(image)
    assert [segment.SegmentLabel for segment in sent.SegmentSequence] == ["left atrium", "lesion 2", "not annotated"]
    assert [
        segment.SegmentedPropertyTypeCodeSequence[0].CodingSchemeDesignator for segment in sent.SegmentSequence
    ] == [
        "SCT",
        "99SEQUAL",
        "99SEQUAL",
    ]
    assert (str(sent.PatientName), sent.PatientID, sent.StudyDescription) == ("Phantom^p1", "p1", "Chest p1")
    measures = sent.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0]
    assert float(measures.SpacingBetweenSlices) == pytest.approx(ct.SPACING_MM[2], abs=1e-4)
    assert [float(value) for value in measures.PixelSpacing] == [ct.SPACING_MM[1], ct.SPACING_MM[0]]


def test_a_segmentation_of_another_program_counts_and_is_never_replaced(archive, opened, tmp_path) -> None:
    """Its segments have other numbers and another order; one that the study does not know is left out."""
    volume = ct.phantom()
    instances = ct.series(volume)
    image = archive.put(*instances)
    strange = volume.truth.copy()
    strange[:3, :3, :3] = 3
    label = OutgoingLabel("final", strange, 1_700_000_000.0, structures={"Lesion-2": 2, "vessel": 3, "LEFT ATRIUM": 1})
    headers = sorted(instances, key=lambda one: float(one.ImagePositionPatient[2]))
    foreign = label_segmentation(headers, label, ImageIdentity("p", "other", "station"), step_mm=ct.SPACING_MM[2])
    foreign.Manufacturer = "other"
    uid = archive.put(foreign)
    before = list(archive.contents[uid])
    study = opened()
    assert study.get_labeled_images() == [image]
    expected = np.where(strange == 3, 0, volume.truth)
    np.testing.assert_array_equal(_stored(study, image), expected)

    study.save_label(image, _file(tmp_path, volume.truth[::-1].copy(), volume.affine), "final", {})
    np.testing.assert_array_equal(_stored(study, image), volume.truth[::-1])
    assert (archive.contents[uid], len(archive.labels_of(image))) == (before, 2)


def test_a_segmentation_that_names_no_image_lies_by_its_positions(archive, opened) -> None:
    volume = ct.phantom()
    for instances in (ct.series(volume), [ct.enhanced(volume)]):
        image = archive.put(*instances)
        slices = volume_slices(instances, image)
        frames = np.empty_like(volume.truth)
        frames[:, :, slices.planes] = volume.truth
        label = OutgoingLabel("final", frames, 1_700_000_000.0, structures={"left atrium": 1, "lesion 2": 2})
        identity = ImageIdentity("p", "other", image)
        foreign = label_segmentation(instances, label, identity, step_mm=ct.SPACING_MM[2])
        for group in foreign.PerFrameFunctionalGroupsSequence:
            del group.DerivationImageSequence
        archive.put(foreign)
        np.testing.assert_array_equal(_stored(opened(), image), volume.truth)


def test_what_makes_no_volume_is_left_out_and_the_rest_goes_on(archive, opened, caplog) -> None:
    good = archive.put(*ct.series(ct.phantom()))
    broken = archive.put(*ct.series(ct.phantom(1))[:-5])
    of_ultrasound = archive.put(*ultrasound(1))
    study = opened()
    assert study.list_images() == sorted([good, broken])
    assert f"Leaving out series {of_ultrasound}: expected Modality CT or MR or PT, got US" in caplog.text
    with pytest.raises(HTTPException, match="as where a slice is missing") as refused:
        study.get_image_uri(broken)
    assert refused.value.status_code == 400
    assert study.list_images() == [good]
    assert read_frame(study.get_image_uri(good)).grid == ct.SHAPE
    # Sent again, whole.
    archive.contents[broken] = []
    archive.put(*ct.series(ct.phantom(1), uid=broken))
    assert read_frame(study.get_image_uri(broken)).grid == ct.SHAPE


def test_voxel_and_patch_come_from_the_headers_once(archive, tmp_path, monkeypatch, caplog) -> None:
    monkeypatch.setattr(pacs_plan, "open_archive", lambda url, server: archive)
    auto = Settings.from_conf({"models": "volume", "labels": "aorta"})
    kept = tmp_path / "plan.json"
    with pytest.raises(SettingsError, match="a study with at least one volume"):
        with_pacs_plan("http://pacs", ServerSettings(), auto, kept)
    for modality in ("CT", "MR"):
        archive.put(*ct.series(ct.phantom(), modality=modality))
    archive.put(*ct.series(ct.phantom(1))[:3])
    archive.put(*ultrasound(1))

    planned = with_pacs_plan("http://pacs", ServerSettings(), auto, kept)
    assert planned.volume_spacing_mm == pytest.approx(ct.SPACING_MM)
    assert planned.volume_patch == "32,32,32"
    assert "Planning without a volume. Expected series" in caplog.text
    assert not any(asked.startswith("download") for asked in archive.asked)

    archive.up = False
    assert with_pacs_plan("http://pacs", ServerSettings(), auto, kept) == planned
    with pytest.raises(PacsError, match="Start the PACS"):
        with_pacs_plan("http://pacs", ServerSettings(), auto, tmp_path / "other.json")
    frames = Settings()
    assert with_pacs_plan("http://pacs", ServerSettings(), frames, tmp_path / "other.json") == frames


def test_an_empty_label_says_that_nothing_is_there(archive, opened, tmp_path) -> None:
    volume = ct.phantom()
    image = archive.put(*ct.series(volume))
    study = opened()
    study.save_label(image, _file(tmp_path, np.zeros(ct.SHAPE, np.uint8), volume.affine), "final", {})
    assert study.delivery(image) == {"pacs": "stored"}
    other = opened("other")
    assert other.get_label_info(image, "final")["no_layer"]
    assert not _stored(other, image).any()
    (sent,) = archive.labels_of(image)
    assert sent.SeriesDescription == "Label of the annotator: nothing in this volume"
