import nibabel as nib
import nrrd
import numpy as np
import pytest

from sequal.errors import LabelError
from sequal.files.imaging import read_label
from sequal.files.imaging.segments import name_classes, place_segments, submitted_segments

GRID = (6, 5, 1)
NOTED = [{"name": "look here", "idx": 1}, {"name": "Intima-Media", "idx": 3}]


@pytest.mark.parametrize(
    "info",
    [None, "x", {}, [], [None, 3, "a"], [{"idx": 1}], [{"name": "a"}], [{"name": "intima-media", "idx": "1"}]],
)
def test_what_names_no_layer_is_no_list_of_segments(info):
    assert submitted_segments(info) == ()


def test_entries_that_are_none_are_left_out():
    assert [one.value for one in submitted_segments([None, {"name": "intima-media", "idx": 4}, {"idx": "b"}])] == [4]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([0, 1, 3, 255], [0, 2, 1, 255]),  # the numbers of the list
        ([0, 1, 2, 255], [0, 2, 1, 255]),  # places in the list: the plugin left one out in between
        ([0, 3, 3, 0], [0, 1, 1, 0]),
        ([0, 255, 0, 255], [0, 255, 0, 255]),
    ],
)
def test_classes_go_by_the_names_that_came_along(values, expected):
    assert name_classes(np.array(values, np.uint8), submitted_segments(NOTED)).tolist() == expected


def test_without_names_numbers_are_classes():
    values = np.array([0, 1, 7], np.uint8)
    assert name_classes(values, submitted_segments([{"name": "", "idx": 1}])) is values


def test_unknown_names_beside_a_labelmap_are_not_the_layer():
    with pytest.raises(LabelError, match="got 'plaque'"):
        name_classes(np.array([0, 1], np.uint8), submitted_segments([{"name": "plaque", "idx": 1}]))


def test_names_count_for_a_labelmap_and_never_for_fractions(tmp_path):
    label = np.zeros(GRID, np.float32)
    label[0], label[1] = 1, 2
    nib.save(nib.Nifti1Image(label, np.eye(4)), tmp_path / "a.nii.gz")
    found = read_label(tmp_path / "a.nii.gz", GRID, named=submitted_segments(NOTED))
    np.testing.assert_array_equal(found == 1, label == 2)
    nib.save(nib.Nifti1Image(label * 0.5, np.eye(4)), tmp_path / "b.nii.gz")
    with pytest.raises(LabelError, match="whole numbers"):
        read_label(tmp_path / "b.nii.gz", GRID, named=submitted_segments(NOTED))


def test_names_in_the_file_rule_over_those_beside_it(tmp_path):
    label = np.zeros(GRID, np.uint8)
    label[2:4] = 1
    header = {"Segment0_ID": "a", "Segment0_Name": "intima-media", "Segment0_LabelValue": "1", "Segment0_Layer": "0"}
    nrrd.write(str(tmp_path / "a.seg.nrrd"), label, header)
    np.testing.assert_array_equal(read_label(tmp_path / "a.seg.nrrd", GRID, named=submitted_segments(NOTED)), label)


def _placed(box, offset, grid=GRID):
    return place_segments(np.asarray(box, np.uint8), {"Segmentation_ReferenceImageExtentOffset": offset}, grid)


def test_a_cropped_box_goes_where_it_was():
    found = _placed(np.ones((2, 3, 1)), "3 1 0")
    expected = np.zeros(GRID, np.uint8)
    expected[3:5, 1:4] = 1
    np.testing.assert_array_equal(found, expected)


def test_what_was_drawn_beyond_the_image_is_left_out():
    box = np.zeros((9, 5, 1))
    box[0, 2] = box[8, 1] = box[3, 4] = 1
    found = _placed(box, "-2 0 0")
    expected = np.zeros(GRID, np.uint8)
    expected[1, 4] = 1
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize(
    ("shape", "offset"),
    [((9, 5, 1), "0 0 0"), ((4, 5, 1), "0 0 0"), ((6, 5, 1), "9 0 0"), ((6, 5, 1), ""), ((6, 5, 1), "0 0")],
)
def test_a_box_that_is_not_explained_is_left_as_it_is(shape, offset):
    box = np.zeros(shape, np.uint8)
    box[1, 2] = 1
    np.testing.assert_array_equal(_placed(box, offset), box)


def test_a_box_beside_the_image_is_left_as_it_is():
    box = np.ones((2, 5, 1), np.uint8)
    np.testing.assert_array_equal(_placed(box, "7 0 0"), box)
