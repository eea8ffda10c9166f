"""Results lie where 3D Slicer shows the image: ITK is what Slicer reads with."""

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813 - as its users write it
from PIL import Image
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, UltrasoundImageStorage, generate_uid
from scipy.spatial.transform import Rotation

from sequal.files.imaging import read_frame
from sequal.files.imaging.writing import write_mask

SIZE = (12, 9)
OBLIQUE = np.eye(4)
OBLIQUE[:3, :3] = Rotation.from_euler("xyz", [20, 35, -50], degrees=True).as_matrix() @ np.diag([0.06, 0.07, 1.0])
OBLIQUE[:3, 3] = 3.0, -7.0, 11.0


def _ras(path):
    """Pixel to RAS of the first two axes and the origin, as ITK reads the file."""
    image = sitk.ReadImage(str(path))
    dimensions = image.GetDimension()
    affine = np.eye(4)
    direction = np.array(image.GetDirection()).reshape(dimensions, dimensions)
    affine[:dimensions, :dimensions] = direction * np.array(image.GetSpacing())
    affine[:dimensions, 3] = image.GetOrigin()
    return (np.diag([-1.0, -1.0, 1.0, 1.0]) @ affine)[:, [0, 1, 3]]


def _nifti(path, affine=None, unit="mm", codes=(1, 1)):
    image = nib.Nifti1Image(np.zeros((*SIZE, 1), np.uint8), affine)
    image.header.set_xyzt_units(unit)
    if affine is None:
        image.header.set_zooms((0.06, 0.07, 1.0))
    image.header["qform_code"], image.header["sform_code"] = codes
    nib.save(image, path)


def _micron(path):
    _nifti(path, np.diag([1000.0, 1000.0, 1000.0, 1.0]) @ OBLIQUE, "micron")


def _dicom(path, **tags):
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.TransferSyntaxUID = UltrasoundImageStorage, ExplicitVRLittleEndian
    meta.MediaStorageSOPInstanceUID = generate_uid()
    data = FileDataset(str(path), {}, file_meta=meta, preamble=b"\0" * 128)
    data.SOPClassUID, data.SOPInstanceUID = UltrasoundImageStorage, meta.MediaStorageSOPInstanceUID
    data.Modality, data.PhotometricInterpretation, data.SamplesPerPixel = "US", "MONOCHROME2", 1
    data.Columns, data.Rows = SIZE
    data.BitsAllocated = data.BitsStored = 8
    data.HighBit, data.PixelRepresentation = 7, 0
    data.PixelData = bytes(SIZE[0] * SIZE[1])
    for name, value in tags.items():
        setattr(data, name, value)
    data.save_as(path, write_like_original=False)


IMAGES = {
    "oblique.nii.gz": lambda path: _nifti(path, OBLIQUE),
    "mirrored.nii.gz": lambda path: _nifti(path, OBLIQUE @ np.diag([1.0, -1.0, 1.0, 1.0])),
    "micron.nii.gz": _micron,
    "unplaced.nii.gz": lambda path: _nifti(path, codes=(0, 0)),
    "picture.png": lambda path: Image.new("L", SIZE).save(path),
    "unplaced.dcm": _dicom,
    "calibrated.dcm": lambda path: _dicom(path, PixelSpacing=[0.07, 0.06]),
}


@pytest.mark.parametrize("suffix", [".nrrd", ".nii.gz"])
@pytest.mark.parametrize("name", IMAGES)
def test_a_mask_lies_on_its_image(tmp_path, name, suffix):
    IMAGES[name](tmp_path / name)
    frame = read_frame(tmp_path / name)
    assert frame.grid == (*SIZE, 1)
    mask = tmp_path / f"mask{suffix}"
    write_mask(mask, frame.to_file_grid(np.ones(frame.grid, np.uint8)), frame.affine)
    np.testing.assert_allclose(_ras(mask)[:3], _ras(tmp_path / name)[:3], atol=1e-5)


def test_a_unit_changes_neither_calibration_nor_place(tmp_path):
    _nifti(tmp_path / "mm.nii.gz", OBLIQUE)
    _micron(tmp_path / "micron.nii.gz")
    one, other = read_frame(tmp_path / "mm.nii.gz"), read_frame(tmp_path / "micron.nii.gz")
    np.testing.assert_allclose(other.affine, one.affine, rtol=1e-5, atol=1e-5)
    assert other.calibration.spacing_mm == pytest.approx(one.calibration.spacing_mm)
