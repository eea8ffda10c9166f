import io

import nibabel as nib
import numpy as np
import pydicom
import pytest
from monailabel.datastore.utils.convert import dicom_to_nifti

from sequal.files.dicom import frames_to_slices, image_series
from sequal.files.dicom.images import to_bytes
from sequal.files.imaging import read_frame
from sequal.files.imaging.dicom_series import read_series
from unit.files.dicom.frames import CALIBRATED, NOT_CALIBRATED, identity_of, make_frame, save


def series(frame, **names):
    return image_series(frame, identity_of(frame, **names))


def written(dataset):
    """A data set as it comes back from a file."""
    stream = io.BytesIO()
    dataset.save_as(stream, write_like_original=False)
    stream.seek(0)
    return pydicom.dcmread(stream)


def test_a_frame_becomes_two_identical_instances_one_step_apart():
    frame = make_frame()
    first, second = (written(instance) for instance in series(frame))
    assert np.array_equal(first.pixel_array, frame.pixels[:, :, 0].T)
    assert np.array_equal(first.pixel_array, second.pixel_array)
    assert first.SOPInstanceUID != second.SOPInstanceUID
    assert (first.SeriesInstanceUID, first.FrameOfReferenceUID) == (
        second.SeriesInstanceUID,
        second.FrameOfReferenceUID,
    )
    assert [float(value) for value in first.ImagePositionPatient] == [0.0, 0.0, 0.0]
    assert [float(value) for value in second.ImagePositionPatient] == [0.0, 0.0, -1.0]
    assert (first.InstanceNumber, second.InstanceNumber) == (1, 2)


def test_it_is_an_8_bit_ultrasound_image_with_its_calibration():
    image = written(series(make_frame())[0])
    assert image.SOPClassUID.name == "Ultrasound Image Storage"
    assert (image.Modality, image.PhotometricInterpretation, image.BitsAllocated) == ("US", "MONOCHROME2", 8)
    assert [float(value) for value in image.PixelSpacing] == [0.05, 0.08]  # between rows, then between columns
    region = image.SequenceOfUltrasoundRegions[0]
    assert (region.PhysicalUnitsXDirection, region.PhysicalUnitsYDirection) == (3, 3)
    assert (region.PhysicalDeltaX, region.PhysicalDeltaY) == pytest.approx((0.008, 0.005))
    assert (region.RegionLocationMaxX1, region.RegionLocationMaxY1) == (32, 20)
    assert "NOT CALIBRATED" not in image.SeriesDescription


def test_a_clip_becomes_one_instance_a_frame_that_plays_forwards():
    frame = make_frame(frames=5)
    instances = [written(instance) for instance in series(frame)]
    assert len(instances) == 5
    for index, instance in enumerate(instances):
        assert np.array_equal(instance.pixel_array, frame.pixels[:, :, index].T)
        assert float(instance.ImagePositionPatient[2]) == -index
    # A step against the normal: axial views show the highest position first.
    normal = np.cross(*np.array(instances[0].ImageOrientationPatient, float).reshape(2, 3))
    assert normal.tolist() == [0.0, 0.0, 1.0]


def test_without_calibration_nothing_claims_millimetres(tmp_path):
    instances = series(make_frame(calibration=NOT_CALIBRATED))
    image = written(instances[0])
    assert [float(value) for value in image.PixelSpacing] == [1.0, 1.0]  # viewers fail without one
    region = image.SequenceOfUltrasoundRegions[0]
    assert (region.PhysicalUnitsXDirection, region.PhysicalUnitsYDirection) == (0, 0)  # no unit
    assert "NOT CALIBRATED" in image.SeriesDescription
    assert "lengths are pixels, not millimetres" in image.ImageComments
    folder = save(tmp_path, instances)
    for file in folder.iterdir():
        assert not read_frame(file).calibration.calibrated


def test_this_app_reads_the_calibration_back(tmp_path):
    frame = make_frame()
    for file in save(tmp_path, series(frame)).iterdir():
        again = read_frame(file)
        assert again.calibration.spacing_mm == pytest.approx(CALIBRATED.spacing_mm)
        assert np.array_equal(again.pixels, frame.pixels)


@pytest.mark.parametrize(
    ("frames", "calibration"), [(1, CALIBRATED), (1, NOT_CALIBRATED), (2, CALIBRATED), (4, CALIBRATED)]
)
def test_monai_label_makes_the_volume_of_it_that_the_mapping_says(tmp_path, frames, calibration):
    """The stock conversion of a series: same axes, no flip, frames from last to first, spacing in the affine."""
    frame = make_frame(frames, calibration)
    image = nib.load(dicom_to_nifti(str(save(tmp_path / "series", series(frame)))))
    volume = np.asanyarray(image.dataobj)
    assert volume.shape == (33, 21, max(frames, 2))
    assert np.array_equal(volume, frames_to_slices(frame.pixels))
    assert np.array_equal(volume[:, :, 0], frame.pixels[:, :, -1])
    dx, dy = calibration.spacing_mm or (1.0, 1.0)
    expected = np.diag([-dx, -dy, 1.0, 1.0])
    expected[2, 3] = 1.0 - max(frames, 2)
    assert np.allclose(image.affine, expected)


@pytest.mark.parametrize("frames", [1, 4])
def test_this_app_stacks_the_series_as_monai_label_does(tmp_path, frames):
    frame = make_frame(frames)
    folder = save(tmp_path / "series", series(frame))
    stacked, stock = read_series(folder), nib.load(dicom_to_nifti(str(folder)))
    assert np.array_equal(stacked.pixels, frames_to_slices(frame.pixels))
    assert np.allclose(stacked.affine, stock.affine)


def test_whole_grey_values_are_kept_and_others_scaled():
    pixels = np.arange(256, dtype=np.float32).reshape(16, 16, 1)
    same, note = to_bytes(pixels)
    assert np.array_equal(same, pixels)
    assert note is None
    for other in (pixels * 257.0, pixels / 255.0 - 0.5, pixels - 128.0):
        scaled, note = to_bytes(other)
        assert np.array_equal(scaled, pixels)
        assert note is not None
    assert to_bytes(np.full((2, 2, 1), 1000.0, np.float32))[0].max() == 0


def test_frames_of_a_clip_are_scaled_alike():
    pixels = np.stack([np.full((4, 4), 0.0), np.full((4, 4), 1000.0), np.full((4, 4), 500.0)], axis=2)
    scaled, _ = to_bytes(pixels.astype(np.float32))
    assert [int(scaled[0, 0, index]) for index in range(3)] == [0, 255, 128]


def test_the_same_frame_gives_the_same_bytes_and_another_other_uids():
    once, twice = (io.BytesIO(), io.BytesIO())
    series(make_frame())[0].save_as(once, write_like_original=False)
    series(make_frame())[0].save_as(twice, write_like_original=False)
    assert once.getvalue() == twice.getvalue()
    changed = make_frame().pixels.copy()
    changed[0, 0, 0] = 255.0 - changed[0, 0, 0]
    variants = [
        series(make_frame()),
        series(make_frame(pixels=changed)),
        series(make_frame(calibration=NOT_CALIBRATED)),
        series(make_frame(), patient="p02"),
        series(make_frame(), image="p01_f2"),
    ]
    for keyword in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "FrameOfReferenceUID"):
        assert len({getattr(variant[0], keyword) for variant in variants}) == len(variants)


def test_instances_do_not_share_what_can_be_changed():
    first, second = series(make_frame())
    first.SequenceOfUltrasoundRegions[0].RegionFlags = 7
    first.PatientID = "other"
    assert (second.SequenceOfUltrasoundRegions[0].RegionFlags, second.PatientID) == (0, "p01")
