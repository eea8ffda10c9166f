import numpy as np
import pytest
from pydicom.dataset import Dataset

from sequal.errors import LabelError
from sequal.files.imaging.dicom_seg import (
    check_segmentation,
    known_segments,
    read_segmentation,
    referenced_series,
    segmentation_says_no_layer,
)
from unit.datastores.fake_archive import HEIGHT, WIDTH, mask, segmentation, ultrasound


@pytest.fixture
def images() -> list[Dataset]:
    """Three slices in the order of their positions, as a series is read."""
    return ultrasound(1, frames=3)[::-1]


def _label() -> np.ndarray:
    label = np.concatenate([mask(1, 2), mask(), mask(5)], axis=2)
    label[20:, :, 0] = 255
    return label


def test_a_label_comes_back_slice_by_slice(images: list[Dataset]) -> None:
    written = segmentation(images, _label(), 1.0)
    check_segmentation(written)
    assert referenced_series(written) == images[0].SeriesInstanceUID
    assert known_segments(written) == {1: 1, 2: 255}
    np.testing.assert_array_equal(read_segmentation(written, images), _label())


def test_without_references_to_images_their_positions_decide(images: list[Dataset]) -> None:
    written = segmentation(images, _label(), 1.0)
    for group in written.PerFrameFunctionalGroupsSequence:
        del group.DerivationImageSequence
    np.testing.assert_array_equal(read_segmentation(written, images), _label())
    for group in written.PerFrameFunctionalGroupsSequence:
        group.PlanePositionSequence[0].ImagePositionPatient = [0, 0, 99]
    with pytest.raises(LabelError, match="to lie on an image of the series"):
        read_segmentation(written, images)


def test_slices_that_are_left_out_are_background(images: list[Dataset]) -> None:
    label = np.concatenate([mask(), mask(3), mask()], axis=2)
    written = segmentation(images, label, 1.0)
    groups = written.PerFrameFunctionalGroupsSequence
    kept = next(index for index, plane in enumerate(written.pixel_array) if plane.any())
    plane = written.pixel_array[kept]
    written.PerFrameFunctionalGroupsSequence = [groups[kept]]
    written.NumberOfFrames = 1
    written.PixelData = np.packbits(plane.ravel(), bitorder="little").tobytes()
    np.testing.assert_array_equal(read_segmentation(written, images), label)


def test_a_fractional_segmentation_counts_from_a_half(images: list[Dataset]) -> None:
    written = segmentation(images, np.repeat(mask(1), 3, axis=2), 1.0)
    shares = np.zeros(written.pixel_array.shape, np.uint8)
    shares[0, 5, :3] = (99, 100, 200)
    written.SegmentationType, written.MaximumFractionalValue = "FRACTIONAL", 200
    written.BitsAllocated = written.BitsStored = 8
    written.HighBit = 7
    written.PixelData = shares.tobytes()
    assert read_segmentation(written, images)[:3, 5].sum(axis=1).tolist() == [0, 1, 1]


def test_the_name_of_a_segment_counts_and_not_its_number(images: list[Dataset]) -> None:
    written = segmentation(images, _label(), 1.0)
    first, second = written.SegmentSequence
    first.SegmentLabel, second.SegmentLabel = "Plaque", "Intima-Media"
    np.testing.assert_array_equal(read_segmentation(written, images), (_label() == 255).astype(np.uint8))
    second.SegmentLabel = "not annotated"
    for read in (check_segmentation, lambda dataset: read_segmentation(dataset, images)):
        with pytest.raises(LabelError, match=r"named intima-media, got \['Plaque', 'not annotated'\]"):
            read(written)


def test_an_empty_and_an_undecodable_one_are_refused(images: list[Dataset]) -> None:
    empty = segmentation(images, np.zeros((WIDTH, HEIGHT, 3), np.uint8), 1.0)
    empty.ContentLabel = "SEGMENTATION"
    with pytest.raises(LabelError, match="an empty one"):
        check_segmentation(empty)
    broken = segmentation(images, _label(), 1.0)
    broken.PixelData = b"12"
    with pytest.raises(LabelError, match="to be readable"):
        check_segmentation(broken)


def test_an_empty_one_that_says_that_there_is_no_layer_is_a_label(images: list[Dataset]) -> None:
    empty = segmentation(images, np.zeros((WIDTH, HEIGHT, 3), np.uint8), 1.0)
    check_segmentation(empty)
    assert segmentation_says_no_layer(empty)
    assert not read_segmentation(empty, images).any()
    drawn = segmentation(images, _label(), 1.0)
    drawn.ContentLabel = "NO_LAYER"
    assert not segmentation_says_no_layer(drawn)


def test_another_grid_and_another_frame_count_are_refused(images: list[Dataset]) -> None:
    written = segmentation(images, _label(), 1.0)
    for image in images:
        image.Rows += 1
    with pytest.raises(LabelError, match="17 rows and 24 columns"):
        read_segmentation(written, images)


def test_what_says_nothing_about_its_images_belongs_to_none() -> None:
    assert referenced_series(Dataset()) is None
