import nibabel as nib
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import maximum_filter, minimum_filter

from sequal.errors import ImageError
from sequal.preparation.volume_grid import VolumeGrid, canonical_spacing

WINDOW = (32, 32, 32)
#: Three ways in which scanners store a volume: to the left and front, sagittal, and coronal from the back.
ORIENTATIONS = ["LAS", "PSR", "RIP", "RAS", "SAL"]


def affine_of(codes, sizes):
    """An affine whose array runs as `codes` say, with voxels of `sizes` mm along its axes."""
    back = nib.orientations.axcodes2ornt(codes)
    matrix = np.zeros((4, 4))
    matrix[3, 3] = 1
    for axis, (to, flip) in enumerate(back):
        matrix[int(to), axis] = flip * sizes[axis]
    return matrix


@given(
    codes=st.sampled_from(ORIENTATIONS),
    shape=st.tuples(*[st.integers(9, 14)] * 3),
    sizes=st.tuples(*[st.floats(0.6, 2.0)] * 3),
)
@settings(max_examples=40, deadline=None)
def test_a_label_comes_back_on_its_own_array_whatever_its_orientation(codes, shape, sizes):
    """On a finer working grid only voxels at a border of two classes may come back as the other."""
    grid = VolumeGrid.of(shape, affine_of(codes, sizes), (0.3, 0.3, 0.3), WINDOW, 16)
    label = np.zeros(shape, np.uint8)
    label[1:4, 2:6, 1:6] = 1
    label[5:, 6:, 6:] = 2
    working = grid.label_to_working(label)
    shares = torch.stack([torch.from_numpy((working == number).astype(np.float32)) for number in range(3)])
    back = grid.to_native(shares).argmax(axis=0)
    inside = maximum_filter(label, 3) == minimum_filter(label, 3)
    assert all((inside & (label == number)).any() for number in range(3))
    np.testing.assert_array_equal(back[inside], label[inside])


def test_the_working_grid_runs_as_the_body_does_not_as_the_file():
    """The same body in five files: one working grid."""
    body = np.zeros((6, 8, 10), np.float32)
    body[0] = 1.0  # the left side
    body[:, :, 9] = 2.0  # the top
    ras = nib.Nifti1Image(body, np.diag([2.0, 1.5, 1.0, 1.0]))
    seen = []
    for codes in ORIENTATIONS:
        turn = nib.orientations.ornt_transform(
            nib.orientations.io_orientation(ras.affine), nib.orientations.axcodes2ornt(codes)
        )
        turned = ras.as_reoriented(turn)
        grid = VolumeGrid.of(turned.shape, turned.affine, (2.0, 1.5, 1.0), WINDOW, 16)
        assert grid.working == (6, 8, 10)
        seen.append(grid.image_to_working(np.asarray(turned.dataobj, dtype=np.float32))[0].numpy())
    for other in seen:
        np.testing.assert_allclose(other, body)


def test_anisotropic_voxels_become_those_of_the_study():
    grid = VolumeGrid.of((40, 40, 10), np.diag([1.0, 1.0, 4.0, 1.0]), (2.0, 2.0, 2.0), WINDOW, 16)
    assert grid.working == (20, 20, 20)
    image = grid.image_to_working(np.ones((40, 40, 10), np.float32))
    assert image.shape == (1, 20, 20, 20)
    torch.testing.assert_close(image, torch.ones_like(image))
    padded = grid.pad(image[None])
    assert padded.shape[2:] == (32, 32, 32)
    torch.testing.assert_close(grid.crop(padded), image[None])


def test_a_shrinking_image_is_averaged_so_that_thin_structures_stay():
    image = np.zeros((8, 8, 8), np.float32)
    image[3] = 1.0
    grid = VolumeGrid.of((8, 8, 8), np.eye(4), (4.0, 1.0, 1.0), WINDOW, 16)
    assert grid.image_to_working(image)[0, 0, 0, 0].item() == pytest.approx(0.25)


@pytest.mark.parametrize("size", [0.0, 1e30, np.nan, 1e-9])
def test_a_spacing_that_no_scanner_has_is_refused(size):
    with pytest.raises(ImageError, match=r"Expected voxels of v\.nii between 0\.01 and 50 mm"):
        canonical_spacing(np.diag([1.0, size, 1.0, 1.0]), "v.nii")


def test_unknown_voxels_of_a_label_stay_unknown():
    label = np.full((8, 8, 8), 255, np.uint8)
    label[:4] = 1
    grid = VolumeGrid.of((8, 8, 8), np.eye(4), (1.0, 1.0, 1.0), WINDOW, 16)
    np.testing.assert_array_equal(grid.label_to_working(label), label)
