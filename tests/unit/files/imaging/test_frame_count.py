import nibabel as nib
import nrrd
import numpy as np
import pytest
from PIL import Image

from sequal.errors import ImageError
from sequal.files.imaging import read_frame
from sequal.files.imaging.frame_count import frame_count


def _nifti(path, shape):
    nib.save(nib.Nifti1Image(np.arange(np.prod(shape), dtype=np.uint8).reshape(shape), np.eye(4)), path)


def _tiff(path, pages):
    images = [Image.fromarray(np.full((5, 7), 10 * page, np.uint8)) for page in range(pages)]
    images[0].save(path, save_all=True, append_images=images[1:])


def _nifti_2(path):
    nib.save(nib.Nifti2Image(np.zeros((7, 5, 4), np.uint8), np.eye(4)), path)


def _big_endian(path):
    image = nib.Nifti1Image(np.zeros((7, 5, 4), np.uint8), np.eye(4), nib.Nifti1Header(endianness=">"))
    nib.save(image, path)


def _coloured(path):
    values = np.zeros((7, 5, 1), np.dtype([("R", "u1"), ("G", "u1"), ("B", "u1")]))
    nib.save(nib.Nifti1Image(values, np.eye(4)), path)


MAKERS = {
    "second.nii": _nifti_2,
    "big.nii.gz": _big_endian,
    "coloured.nii.gz": _coloured,
    "plane.nii.gz": lambda path: _nifti(path, (7, 5)),
    "still.nii": lambda path: _nifti(path, (7, 5, 1)),
    "turned.nii": lambda path: _nifti(path, (7, 1, 5)),
    "clip.nii.gz": lambda path: _nifti(path, (7, 5, 4)),
    "longer.nii.gz": lambda path: _nifti(path, (7, 5, 4, 1)),
    "picture.png": lambda path: Image.fromarray(np.zeros((5, 7), np.uint8)).save(path),
    "pages.tif": lambda path: _tiff(path, 3),
    "volume.nrrd": lambda path: nrrd.write(str(path), np.arange(140, dtype=np.uint8).reshape(7, 5, 4)),
}


@pytest.mark.parametrize("name", MAKERS)
def test_it_is_the_number_of_frames_that_are_read(tmp_path, name):
    MAKERS[name](tmp_path / name)
    assert frame_count(tmp_path / name) == read_frame(tmp_path / name).grid[2]


@pytest.mark.parametrize("name", ["damaged.nii.gz", "damaged.dcm", "damaged.nrrd", "missing.nii.gz", "other.txt"])
def test_what_is_no_image_is_refused(tmp_path, name):
    if not name.startswith("missing"):
        (tmp_path / name).write_bytes(b"no image")
    with pytest.raises(ImageError, match="Expected"):
        frame_count(tmp_path / name)
