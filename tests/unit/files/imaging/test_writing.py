import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813

from sequal.errors import ImageError
from sequal.files.imaging import read_frame, read_label
from sequal.files.imaging.writing import WRITABLE_SUFFIXES, write_mask


@pytest.fixture
def oblique():
    """A rotated, shifted grid with three different spacings; RAS millimetres."""
    a, b = 0.3, -0.5
    turn_z = np.array([[np.cos(a), -np.sin(a), 0], [np.sin(a), np.cos(a), 0], [0, 0, 1]])
    turn_x = np.array([[1, 0, 0], [0, np.cos(b), -np.sin(b)], [0, np.sin(b), np.cos(b)]])
    affine = np.eye(4)
    affine[:3, :3] = turn_z @ turn_x @ np.diag([0.06, 0.05, 1.5])
    affine[:3, 3] = [12.5, -40.25, 7.0]
    return affine


@pytest.fixture
def mask():
    return (np.random.default_rng(0).random((7, 5, 3)) > 0.5).astype(np.uint8)


@pytest.mark.parametrize("suffix", WRITABLE_SUFFIXES)
def test_simpleitk_sees_the_grid_that_the_affine_says(tmp_path, mask, oblique, suffix):
    path = tmp_path / f"mask{suffix}"
    write_mask(path, mask, oblique)
    image = sitk.ReadImage(str(path))
    np.testing.assert_array_equal(sitk.GetArrayFromImage(image).T, mask)
    for index in [(0, 0, 0), (6, 0, 0), (0, 4, 0), (0, 0, 2), (3, 2, 1)]:
        right, anterior, superior = (oblique @ [*index, 1.0])[:3]
        # ITK speaks LPS: left and posterior are the negatives of RAS.
        expected = (-right, -anterior, superior)
        np.testing.assert_allclose(image.TransformIndexToPhysicalPoint(index), expected, atol=1e-4)
    np.testing.assert_allclose(image.GetSpacing(), (0.06, 0.05, 1.5), rtol=1e-5)


def test_nibabel_gets_the_affine_back(tmp_path, mask, oblique):
    write_mask(tmp_path / "a.nii.gz", mask, oblique)
    image = nib.load(tmp_path / "a.nii.gz")
    np.testing.assert_allclose(image.affine, oblique, atol=1e-5)
    assert image.header.get_xyzt_units()[0] == "mm"
    np.testing.assert_array_equal(np.asarray(image.dataobj), mask)


@pytest.mark.parametrize("suffix", WRITABLE_SUFFIXES)
def test_our_own_reader_agrees(tmp_path, mask, oblique, suffix):
    path = tmp_path / f"a{suffix}"
    write_mask(path, mask, oblique)
    frame = read_frame(path)
    np.testing.assert_allclose(frame.affine, oblique, atol=1e-5)
    np.testing.assert_array_equal(frame.pixels, mask)
    np.testing.assert_array_equal(read_label(path, mask.shape), mask)


@pytest.mark.parametrize("shape", [(7, 5), (7, 5, 1), (7, 5, 3)])
def test_nifti_keeps_the_shape_and_nrrd_has_three_axes(tmp_path, shape):
    values = np.arange(np.prod(shape), dtype=np.uint8).reshape(shape)
    write_mask(tmp_path / "a.nii.gz", values, np.eye(4))
    assert nib.load(tmp_path / "a.nii.gz").shape == shape
    write_mask(tmp_path / "a.nrrd", values, np.eye(4))
    image = sitk.GetArrayFromImage(sitk.ReadImage(str(tmp_path / "a.nrrd"))).T
    np.testing.assert_array_equal(image, values.reshape(7, 5, -1))


@pytest.mark.parametrize("suffix", [".nii.gz", ".nrrd"])
@pytest.mark.parametrize("dtype", ["uint8", "int16", "int64", "uint16", "float32", "float64"])
def test_the_type_is_kept(tmp_path, mask, suffix, dtype):
    path = tmp_path / f"a{suffix}"
    write_mask(path, mask.astype(dtype), np.eye(4))
    found = sitk.GetArrayFromImage(sitk.ReadImage(str(path)))
    assert found.dtype == np.dtype(dtype)
    np.testing.assert_array_equal(found.T, mask)


@pytest.mark.parametrize("suffix", [".nii.gz", ".nrrd"])
def test_bool_becomes_uint8(tmp_path, mask, suffix):
    write_mask(tmp_path / f"a{suffix}", mask.astype(bool), np.eye(4))
    np.testing.assert_array_equal(read_label(tmp_path / f"a{suffix}", mask.shape), mask)


@pytest.mark.parametrize("dtype", ["float16", "complex64", "datetime64[s]"])
def test_types_that_the_files_cannot_hold(tmp_path, mask, dtype):
    with pytest.raises(ImageError, match=r"result_dtype"):
        write_mask(tmp_path / "a.nii.gz", mask.astype("uint8").astype(dtype), np.eye(4))


def test_raw_nrrd_for_viewers_that_cannot_inflate(tmp_path, mask):
    write_mask(tmp_path / "raw.nrrd", mask, np.eye(4), compress=False)
    write_mask(tmp_path / "gzip.nrrd", mask, np.eye(4))
    header, data = (tmp_path / "raw.nrrd").read_bytes().split(b"\n\n", 1)
    assert b"encoding: raw" in header
    assert data == mask.tobytes(order="F")
    assert b"encoding: gzip" in (tmp_path / "gzip.nrrd").read_bytes()


def test_other_suffixes_are_refused(tmp_path, mask):
    with pytest.raises(ImageError, match=r"\.nrrd"):
        write_mask(tmp_path / "a.mha", mask, np.eye(4))
    assert not any(tmp_path.iterdir())
