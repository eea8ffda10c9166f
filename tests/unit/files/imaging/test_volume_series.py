"""Series of CT, MR and PET as volumes: in their right order and place, or refused with the reason."""

import subprocess

import numpy as np
import pydicom
import pytest
import SimpleITK
from pydicom.uid import RLELossless

import ct
from pacs import needed_program
from sequal.errors import ImageError
from sequal.files.imaging.volume_series import read_volume_series
from sequal.files.imaging.volume_slices import volume_slices


@pytest.fixture
def volume():
    return ct.phantom()


@pytest.fixture
def instances(volume):
    return ct.series(volume)


def _by_place(instances):
    """The instances from the feet to the head."""
    return sorted(instances, key=lambda one: float(one.ImagePositionPatient[2]))


def _moved(instance, offset):
    place = np.array([float(value) for value in instance.ImagePositionPatient]) + offset
    instance.ImagePositionPatient = [f"{value:.6f}" for value in place]


def test_a_shuffled_oblique_series_is_the_volume(tmp_path, volume, instances):
    read = read_volume_series(ct.write(tmp_path, instances))
    np.testing.assert_array_equal(read.pixels, volume.values)
    np.testing.assert_allclose(read.affine, volume.affine, atol=1e-4)
    assert read.pixels.dtype == np.int16


def test_it_lies_where_itk_puts_it(tmp_path, instances):
    """ITK sorts the files by itself, and shows the series in 3D Slicer."""
    folder = ct.write(tmp_path, instances)
    read = read_volume_series(folder)
    files = SimpleITK.ImageSeriesReader.GetGDCMSeriesFileNames(str(folder))
    image = SimpleITK.ReadImage(files)
    np.testing.assert_array_equal(SimpleITK.GetArrayFromImage(image).T, read.pixels)
    direction = np.array(image.GetDirection()).reshape(3, 3) * image.GetSpacing()
    np.testing.assert_allclose(np.diag([-1.0, -1.0, 1.0]) @ direction, read.affine[:3, :3], atol=1e-3)
    np.testing.assert_allclose(np.diag([-1.0, -1.0, 1.0]) @ image.GetOrigin(), read.affine[:3, 3], atol=1e-3)


def test_an_enhanced_instance_is_the_same_volume(tmp_path, volume):
    read = read_volume_series(ct.write(tmp_path, [ct.enhanced(volume)]))
    np.testing.assert_array_equal(read.pixels, volume.values)
    np.testing.assert_allclose(read.affine, volume.affine, atol=1e-4)


def test_every_slice_has_its_own_slope(tmp_path, volume, instances):
    """As in PET, where each slice fills the range of its integers."""
    for instance in instances[::2]:
        instance.RescaleSlope, instance.RescaleIntercept = ct.SLOPE / 2, ct.INTERCEPT + 0.25
        stored = np.frombuffer(instance.PixelData, "<u2").astype(np.uint16) * 2
        instance.PixelData = stored.tobytes()
    read = read_volume_series(ct.write(tmp_path, instances))
    assert read.pixels.dtype == np.float32
    assert set(np.unique(read.pixels - volume.values).tolist()) == {0.0, 0.25}


@pytest.mark.parametrize("program", [("dcmcjpeg", "+e1"), ("dcmcjpls", "+el"), ("dcmcrle",)])
def test_a_lossless_compression_changes_nothing(tmp_path, volume, instances, program):
    command, *options = program
    folder = ct.write(tmp_path / "raw", instances)
    (tmp_path / "small").mkdir()
    for file in folder.iterdir():
        subprocess.run([needed_program(command), *options, file, tmp_path / "small" / file.name], check=True)
    np.testing.assert_array_equal(read_volume_series(tmp_path / "small").pixels, volume.values)


def test_a_compressed_enhanced_instance_is_the_same_volume(tmp_path, volume):
    (file,) = ct.write(tmp_path / "raw", [ct.enhanced(volume)]).iterdir()
    (tmp_path / "small").mkdir()
    subprocess.run([needed_program("dcmcjpeg"), "+e1", file, tmp_path / "small" / "1.dcm"], check=True)
    np.testing.assert_array_equal(read_volume_series(tmp_path / "small").pixels, volume.values)


def test_rounded_positions_are_even(tmp_path, instances):
    for instance in instances:
        instance.ImagePositionPatient = [f"{float(value):.1f}" for value in instance.ImagePositionPatient]
    assert read_volume_series(ct.write(tmp_path, instances)).pixels.shape == ct.SHAPE


def _without_one(instances):
    return [one for one in instances if one is not _by_place(instances)[5]]


def _uneven(instances):
    _moved(_by_place(instances)[7], 0.3 * ct.SPACING_MM[2] * ct.directions()[:, 2])
    return instances


def _tilted(instances):
    for index, instance in enumerate(_by_place(instances)):
        _moved(instance, np.tan(np.radians(12)) * index * ct.SPACING_MM[2] * ct.directions()[:, 1])
    return instances


def _acquired_twice(instances):
    again = ct.series(ct.phantom(), uid=str(instances[0].SeriesInstanceUID))
    return [*instances, *again]


def _one_of_another_size(instances):
    instances[3].Rows, instances[3].Columns = instances[3].Columns, instances[3].Rows
    return instances


def _one_of_another_spacing(instances):
    instances[3].PixelSpacing = [2.5, 1.5]
    return instances


def _one_turned(instances):
    instances[3].ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    return instances


def _localiser(instances):
    instances[0].ImageType = ["ORIGINAL", "PRIMARY", "LOCALIZER"]
    return instances


def _coloured(instances):
    for instance in instances:
        grey = np.frombuffer(instance.PixelData, "<u2").astype(np.uint8)
        instance.SamplesPerPixel, instance.PhotometricInterpretation, instance.PlanarConfiguration = 3, "RGB", 0
        instance.BitsAllocated, instance.BitsStored, instance.HighBit = 8, 8, 7
        instance.PixelData = np.repeat(grey, 3).tobytes()
    return instances


def _without_place(instances):
    del instances[2].ImagePositionPatient
    return instances


def _wordy(instances):
    header = pydicom.Dataset.from_json(instances[2].to_json())
    header.PlanePositionSequence = []
    header.add_new("NumberOfFrames", "LO", "several")
    header.file_meta = instances[2].file_meta
    header.is_little_endian, header.is_implicit_VR = True, False
    header.preamble = bytes(128)
    return [header, *instances[:2], *instances[3:]]


def _without_number(instances):
    instances[2].ImagePositionPatient = ["0", "0", ""]
    return instances


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (_without_one, "slices at even distances, got gaps from 3.50 to 7.00 mm, as where a slice is missing"),
        (_uneven, "slices at even distances, got gaps from 2.45 to 4.55 mm"),
        (_tilted, "shifted by up to 12.6 mm, as with a gantry tilt of 12.0 degrees"),
        (_acquired_twice, "one slice at a position, got 36 slices at 18 positions, as two acquisitions"),
        (_one_of_another_size, "slices of one size, got 20 x 24 and 24 x 20"),
        (_one_of_another_spacing, "slices of one PixelSpacing"),
        (_one_turned, "slices of one orientation"),
        (_localiser, "a volume, got a localiser"),
        (lambda instances: instances[:1], "at least 4 slices, got 1"),
        (lambda instances: _by_place(instances)[:3], "at least 4 slices, got 3"),
        (_coloured, "grey values .MONOCHROME2., got RGB"),
        (_without_place, "every slice to say where it lies"),
        (_without_number, "every slice to say where it lies"),
        (_wordy, "readable headers, got ValueError"),
        (lambda _: [ct.enhanced(ct.phantom()), ct.enhanced(ct.phantom())], "one enhanced instance"),
    ],
)
def test_what_makes_no_volume_is_refused(tmp_path, instances, spoil, reason):
    with pytest.raises(ImageError, match=reason):
        read_volume_series(ct.write(tmp_path, spoil(instances)))


def test_pixels_that_cannot_be_decoded_are_named(tmp_path, instances):
    instances[4].compress(RLELossless)
    instances[4].file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.4.100"  # MPEG-2
    with pytest.raises(ImageError, match=r"transfer syntax 1\.2\.840\.10008\.1\.2\.4\.100"):
        read_volume_series(ct.write(tmp_path, instances))


def test_pixels_that_are_cut_off_are_named(tmp_path, instances):
    instances[4].PixelData = instances[4].PixelData[:100]
    with pytest.raises(ImageError, match=r"pixels of series .* to be readable"):
        read_volume_series(ct.write(tmp_path, instances))


def test_the_headers_of_a_pacs_are_enough(instances):
    """They come as JSON, without pixels, in any order."""
    headers = [pydicom.Dataset.from_json(instance.to_json()) for instance in instances]
    found = volume_slices(headers, "listed")
    assert found.grid == ct.SHAPE
    assert found.step_mm == pytest.approx(ct.SPACING_MM[2], abs=1e-4)
