from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from pydicom import dcmread

import ct
from sequal.errors import ImageError
from sequal.files.dicom import ImageIdentity, OutgoingLabel, bundle_volume, volume_series, write_bundle
from sequal.files.imaging import Frame, read_frame
from sequal.files.imaging.dicom_seg import read_segmentation
from sequal.files.imaging.volume_series import read_volume_series
from unit.files.dicom.frames import validator_errors

STRUCTURES = {"left atrium": 1, "lesion 2": 2}


def _frame(folder: Path, values: np.ndarray, affine: np.ndarray) -> Frame:
    nib.save(nib.Nifti1Image(values, affine), folder / "volume.nii.gz")
    return read_frame(folder / "volume.nii.gz")


def _identity(frame: Frame) -> ImageIdentity:
    return ImageIdentity.of_volume(frame, patient="p1", image="volume 1")


@pytest.mark.parametrize("modality", ["CT", "MR"])
def test_a_volume_comes_back_where_it_lay_with_its_label(tmp_path: Path, modality: str) -> None:
    phantom = ct.phantom()
    frame = _frame(tmp_path, phantom.values, phantom.affine)
    label = OutgoingLabel("final", phantom.truth, 1.7e9, structures=STRUCTURES)
    out = tmp_path / "out"
    write_bundle(out, bundle_volume(frame, _identity(frame), [label], modality))
    assert [
        error for file in (out / "image_0001.dcm", out / "label_final.dcm") for error in validator_errors(file)
    ] == []

    segmentation = dcmread(out / "label_final.dcm")
    (out / "label_final.dcm").unlink()
    back = read_volume_series(out)
    np.testing.assert_array_equal(back.pixels, phantom.values)
    np.testing.assert_allclose(back.affine, phantom.affine, atol=1e-4)
    images = [dcmread(file) for file in sorted(out.iterdir())]
    assert {image.Modality for image in images} == {modality}
    np.testing.assert_array_equal(read_segmentation(segmentation, images, STRUCTURES), phantom.truth)


def test_mirrored_slices_and_fractions_keep_place_and_value(tmp_path: Path) -> None:
    values = np.random.default_rng(1).normal(0, 1, (8, 7, 6)).astype(np.float32)
    affine = np.array([[2.0, 0, 0, 5], [0, 0, -1.5, 7], [0, -3.0, 0, 9], [0, 0, 0, 1]])  # left-handed
    frame = _frame(tmp_path, values, affine)
    for number, instance in enumerate(volume_series(frame, _identity(frame), "MR")):
        instance.save_as(tmp_path / f"{number}.dcm", write_like_original=False)
    (tmp_path / "volume.nii.gz").unlink()
    back = read_volume_series(tmp_path)
    for index in np.ndindex(values.shape):
        x, y, z, _ = np.rint(np.linalg.inv(back.affine) @ affine @ [*index, 1]).astype(int)
        assert back.pixels[x, y, z] == pytest.approx(values[index], abs=np.ptp(values) / 65535)


def test_another_place_is_another_volume(tmp_path: Path) -> None:
    values = ct.phantom().values
    one, other = (_identity(_frame(tmp_path, values, np.diag([1.0, 1.0, step, 1.0]))) for step in (1.0, 2.0))
    again = _identity(_frame(tmp_path, values, np.eye(4)))
    assert one.study_uid == again.study_uid != other.study_uid


def test_a_clip_is_no_volume(tmp_path: Path) -> None:
    frame = _frame(tmp_path, np.zeros((8, 8, 3), np.float32), np.eye(4))
    with pytest.raises(ImageError, match=r"`volume\.nii\.gz` to have at least 4 slices .* got 3"):
        volume_series(frame, _identity(frame), "MR")
