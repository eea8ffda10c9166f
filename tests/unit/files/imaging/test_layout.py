import nibabel as nib
import numpy as np
import pytest
from PIL import Image, ImageOps

from sequal.errors import LabelError
from sequal.files.imaging import label_to_grid, read_frame, read_label
from sequal.files.imaging.layout import Layout, slice_layout
from sequal.files.imaging.writing import write_on_frame

ROWS = np.random.default_rng(3).integers(0, 255, (9, 14), dtype=np.uint8)


def save(path, orientation):
    exif = Image.Exif()
    exif[274] = orientation
    Image.fromarray(ROWS).save(path, exif=exif)
    return path


def as_people_see_it(path):
    """(W, H); Pillow's own way, of a PNG."""
    with Image.open(path) as image:
        return np.asarray(ImageOps.exif_transpose(image)).T


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", [".png", ".tif", ".tiff"])
def test_a_photograph_stands_upright(tmp_path, orientation, suffix):
    frame = read_frame(save(tmp_path / f"a{suffix}", orientation))
    np.testing.assert_array_equal(frame.pixels[:, :, 0], as_people_see_it(save(tmp_path / "b.png", orientation)))


def test_a_photograph_as_jpeg_stands_upright(tmp_path):
    frame = read_frame(save(tmp_path / "a.jpg", 6))
    assert frame.grid == (9, 14, 1)
    assert frame.shape == (14, 9)
    assert np.abs(frame.pixels[:, :, 0] - as_people_see_it(tmp_path / "a.jpg")).max() <= 1


@pytest.mark.parametrize("orientation", range(1, 9))
def test_results_go_back_as_they_lie_in_the_file_and_labels_come_from_there(tmp_path, orientation):
    frame = read_frame(save(tmp_path / "a.png", orientation))
    np.testing.assert_array_equal(frame.to_file_grid(frame.pixels), ROWS.T)
    label = (frame.pixels > 200).astype(np.uint8)
    write_on_frame(tmp_path / "mask.nii.gz", label, frame)
    np.testing.assert_array_equal(read_label(tmp_path / "mask.nii.gz", frame.grid, layout=frame.layout), label)


def test_a_label_drawn_on_the_upright_picture_is_taken_too(tmp_path):
    frame = read_frame(save(tmp_path / "a.png", 6))
    label = (frame.pixels > 200).astype(np.uint8)
    np.testing.assert_array_equal(label_to_grid(label, frame.grid, layout=frame.layout), label)
    with pytest.raises(LabelError, match="the size of its frame"):
        label_to_grid(label[:-1], frame.grid, layout=frame.layout)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_affine_of_the_frame_and_of_its_file_say_the_same(orientation):
    layout, rng = Layout.of_exif(orientation), np.random.default_rng(orientation)
    file_affine = np.vstack([rng.random((3, 4)), [0, 0, 0, 1]])
    grid = (5, 7, 3)
    stored = layout.file_grid(grid)
    places = np.stack(np.meshgrid(*[np.arange(length) for length in stored], indexing="ij"), axis=-1)
    in_space = places @ file_affine[:3, :3].T + file_affine[:3, 3]
    seen = np.stack([layout.to_frame(in_space[..., axis]) for axis in range(3)], axis=-1)
    own = layout.frame_affine(file_affine, grid)
    mine = np.stack(np.meshgrid(*[np.arange(length) for length in grid], indexing="ij"), axis=-1)
    np.testing.assert_allclose(mine @ own[:3, :3].T + own[:3, 3], seen)


def test_a_slice_along_the_second_axis_is_one_frame(tmp_path):
    array = np.arange(14 * 9, dtype=np.uint8).reshape(14, 1, 9)
    nib.save(nib.Nifti1Image(array, np.diag([-0.1, 1.0, -0.08, 1.0])), tmp_path / "a.nii.gz")
    frame = read_frame(tmp_path / "a.nii.gz")
    assert frame.grid == (14, 9, 1)
    assert frame.calibration.spacing_mm == (0.1, 0.08)
    np.testing.assert_array_equal(frame.pixels[:, :, 0], array[:, 0, :])
    np.testing.assert_array_equal(frame.to_file_grid(frame.pixels), array)
    np.testing.assert_allclose(frame.affine[:3, :2], np.array([[-0.1, 0], [0, 0], [0, -0.08]]), atol=1e-7)


@pytest.mark.parametrize("shape", [(14, 9), (14, 9, 1), (14, 9, 5), (1, 1, 9), (14, 1)])
def test_other_shapes_are_as_they_are(shape):
    assert slice_layout(shape).plain
