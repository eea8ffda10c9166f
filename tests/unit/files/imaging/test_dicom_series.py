from pathlib import Path

import numpy as np
import pytest
from pydicom.dataset import Dataset

from sequal.errors import ImageError
from sequal.files.imaging.dicom_series import read_series, read_series_headers
from unit.datastores.fake_archive import HEIGHT, SPACING_MM, WIDTH, pixels, ultrasound


def _save(folder: Path, instances: list[Dataset]) -> Path:
    folder.mkdir()
    for index, instance in enumerate(instances):
        instance.save_as(folder / f"{index}.dcm", write_like_original=False)
    return folder


def test_slices_stand_in_the_order_of_their_positions_whatever_their_names_and_numbers(tmp_path: Path) -> None:
    instances = ultrasound(1, frames=4)
    for instance, number in zip(instances, (7, 3, 9, 1), strict=True):
        instance.InstanceNumber = number
    image = read_series(_save(tmp_path / "1.2", instances))
    assert image.pixels.dtype == np.uint8
    # Positions fall as an exported clip goes on, so that its last frame is the first slice.
    np.testing.assert_array_equal(image.pixels, pixels(1, 4)[:, :, ::-1])
    # From left-back-head to right-front-head; the first slice lies at z = -3.
    expected = [[-SPACING_MM, 0, 0, 0], [0, -SPACING_MM, 0, 0], [0, 0, 1, -3], [0, 0, 0, 1]]
    np.testing.assert_allclose(image.affine, expected, atol=1e-6)


def test_an_oblique_series_keeps_its_geometry(tmp_path: Path) -> None:
    instances = ultrasound(1, frames=2)
    across, down = np.array([0.0, 0.6, 0.8]), np.array([1.0, 0.0, 0.0])
    normal = np.cross(across, down)
    for index, instance in enumerate(instances):
        instance.ImageOrientationPatient = [*across, *down]
        instance.ImagePositionPatient = list(np.array([10.0, 20.0, 30.0]) + 2.5 * index * normal)
    image = read_series(_save(tmp_path / "1.2", instances))
    np.testing.assert_array_equal(image.pixels, pixels(1, 2))
    to_ras = np.diag([-1.0, -1.0, 1.0])
    np.testing.assert_allclose(image.affine[:3, 0], to_ras @ across * SPACING_MM, atol=1e-6)
    np.testing.assert_allclose(image.affine[:3, 1], to_ras @ down * SPACING_MM, atol=1e-6)
    np.testing.assert_allclose(image.affine[:3, 2], to_ras @ normal * 2.5, atol=1e-6)
    np.testing.assert_allclose(image.affine[:3, 3], [-10, -20, 30], atol=1e-6)


def test_without_positions_the_numbers_rule_and_the_region_gives_the_spacing(tmp_path: Path) -> None:
    instances = ultrasound(1, frames=3)
    for instance in instances:
        for keyword in ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing"):
            delattr(instance, keyword)
    folder = _save(tmp_path / "1.2", instances[::-1])
    assert [int(header.InstanceNumber) for header in read_series_headers(folder)] == [1, 2, 3]
    image = read_series(folder)
    np.testing.assert_array_equal(image.pixels, pixels(1, 3))
    np.testing.assert_allclose(image.affine, np.diag([SPACING_MM, SPACING_MM, 1, 1]), atol=1e-7)


def test_colour_becomes_grey_and_what_is_no_byte_stays_exact(tmp_path: Path) -> None:
    instances = ultrasound(1)
    for instance in instances:
        grey = np.frombuffer(instance.PixelData, np.uint8)
        colour = np.stack([grey, grey // 2, grey // 4], axis=-1)
        instance.SamplesPerPixel, instance.PhotometricInterpretation, instance.PlanarConfiguration = 3, "RGB", 0
        instance.PixelData = colour.tobytes()
    image = read_series(_save(tmp_path / "1.2", instances))
    grey = pixels(1)
    luma = 0.299 * grey + 0.587 * (grey // 2) + 0.114 * (grey // 4)
    assert image.pixels.shape == (WIDTH, HEIGHT, 2)
    np.testing.assert_allclose(image.pixels, np.repeat(luma, 2, axis=2), atol=1e-3)


def test_a_multi_frame_instance_is_a_clip(tmp_path: Path) -> None:
    instances = ultrasound(1, frames=3)
    instances[0].NumberOfFrames = 3
    instances[0].PixelData = b"".join(instance.PixelData for instance in instances)
    image = read_series(_save(tmp_path / "1.2", instances[:1]))
    np.testing.assert_array_equal(image.pixels, pixels(1, 3))


def _without_pixels(instances: list[Dataset]) -> None:
    del instances[1].PixelData


def _truncated(instances: list[Dataset]) -> None:
    instances[1].PixelData = instances[1].PixelData[:50]


def _private(instances: list[Dataset]) -> None:
    instances[1].file_meta.TransferSyntaxUID = "1.2.3.4"


def _of_two_sizes(instances: list[Dataset]) -> None:
    instances[1].Rows, instances[1].Columns = 8, 48


def _two_clips(instances: list[Dataset]) -> None:
    for instance in instances:
        instance.NumberOfFrames = 2
        instance.PixelData *= 2


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (_without_pixels, "without pixel data"),
        (_truncated, "pixels of series 1.2 to be readable"),
        (_private, "transfer syntax 1.2.3.4"),
        (_of_two_sizes, "2 instances of 24 x 16, 48 x 8 pixels"),
        (_two_clips, "2 instances of 24 x 16 x 2 pixels"),
    ],
)
def test_what_is_no_image_says_why(tmp_path: Path, spoil: object, words: str) -> None:
    instances = ultrasound(1)
    spoil(instances)
    with pytest.raises(ImageError, match=words):
        read_series(_save(tmp_path / "1.2", instances))


def test_an_empty_folder_and_a_file_that_is_no_dicom_say_so(tmp_path: Path) -> None:
    (tmp_path / "1.2").mkdir()
    with pytest.raises(ImageError, match=r"series 1\.2 to hold instances, got none"):
        read_series(tmp_path / "1.2")
    (tmp_path / "1.2" / "a.dcm").write_bytes(b"nothing")
    with pytest.raises(ImageError, match=r"instances of series 1\.2 to be readable"):
        read_series(tmp_path / "1.2")
