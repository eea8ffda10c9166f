import nibabel as nib
import numpy as np
import pytest

from lib.web.dicomweb import as_viewed
from sequal.files.dicom import frames_to_slices
from sequal.files.imaging import read_frame, read_label
from sequal.files.imaging.writing import write_on_frame
from unit.web.dicomweb.folder import label, pixels, save


@pytest.mark.parametrize("frames", [1, 2, 3])
def test_a_mask_has_the_slices_and_the_place_that_a_viewer_shows(tmp_path, frames):
    frame = as_viewed(read_frame(save(tmp_path / "image.nii.gz", pixels(frames))))
    write_on_frame(tmp_path / "mask.nii.gz", label(frames), frame)

    written = nib.load(tmp_path / "mask.nii.gz")
    np.testing.assert_array_equal(np.asanyarray(written.dataobj), frames_to_slices(label(frames)))
    slices = max(frames, 2)
    expected = np.diag([-0.06, -0.06, 1.0, 1.0])
    expected[2, 3] = 1 - slices
    np.testing.assert_allclose(written.affine, expected, atol=1e-6)


@pytest.mark.parametrize("frames", [1, 3])
def test_what_a_viewer_sends_comes_back_to_the_frames(tmp_path, frames):
    frame = read_frame(save(tmp_path / "image.nii.gz", pixels(frames)))
    sent = tmp_path / "label.bin"
    sent.write_bytes(frames_to_slices(label(frames)).tobytes(order="F"))

    read = read_label(sent, frame.grid, layout=as_viewed(frame).layout)
    np.testing.assert_array_equal(read, label(frames))


def test_a_frame_without_calibration_has_pixels_of_one_millimetre(tmp_path):
    frame = as_viewed(read_frame(save(tmp_path / "image.nii.gz", pixels(), spacing_mm=1.0)))
    assert not frame.calibration.calibrated
    assert np.diag(frame.affine).tolist() == [-1, -1, 1, 1]
