import numpy as np
import pytest

from sequal.anatomy.measurement import label_warnings
from sequal.errors import LabelError
from sequal.files.imaging import Calibration

WIDTH, HEIGHT = 120, 90


def band(top=40, thickness=8, columns=slice(10, 110)):
    label = np.zeros((WIDTH, HEIGHT, 1), np.uint8)
    label[columns, top : top + thickness] = 1
    return label


def test_an_ordinary_wall_needs_no_word():
    assert label_warnings(band(), Calibration((0.1, 0.1), "given")) == ()
    partial = band(columns=slice(20, 50))
    partial[50:] = 255
    assert label_warnings(partial) == ()


def test_nothing_is_said_of_a_label_without_a_layer():
    assert label_warnings(np.zeros((WIDTH, HEIGHT, 1), np.uint8)) == ()
    assert label_warnings(np.full((WIDTH, HEIGHT, 1), 255, np.uint8)) == ()


@pytest.mark.parametrize(
    "label",
    [
        1 - band(),
        np.ones((WIDTH, HEIGHT, 1), np.uint8),
        np.where(band() == 1, 255, 1).astype(np.uint8),
        band(top=0, thickness=HEIGHT, columns=slice(40, 48)),  # columns and rows exchanged
    ],
)
def test_what_fills_the_picture_is_refused(label):
    with pytest.raises(LabelError, match="thin line"):
        label_warnings(label)


def test_many_values_are_a_grey_picture():
    with pytest.raises(LabelError, match="grey picture"):
        label_warnings(band(), dropped=dict.fromkeys(range(2, 40), 5))
    (warning,) = label_warnings(band(), dropped={2: 30, 3: 7})
    assert warning == "37 pixels of other values (2, 3) were left out: 1 is the layer."


def test_two_walls_in_a_column_are_said():
    both = band(20) + band(60)
    (warning,) = label_warnings(both)
    assert warning.startswith("100 of 100 columns show the layer more than once")


def test_specks_are_said():
    label = np.zeros((WIDTH, HEIGHT, 1), np.uint8)
    label[::4, 30:33] = 1
    (warning,) = label_warnings(label)
    assert "30 pieces" in warning


def test_a_thickness_of_no_wall_is_said():
    (warning,) = label_warnings(band(thickness=30), Calibration((0.2, 0.2), "given"))
    assert warning.startswith("The layer is 6.0 mm thick")
    assert label_warnings(band(thickness=30)) == ()


def test_frames_of_a_clip_are_named_by_number():
    clip = np.concatenate([band(), band(20) + band(60)], axis=2)
    (warning,) = label_warnings(clip)
    assert warning.startswith("Frame 2: 100 of 100")


def test_a_stroke_by_mistake_and_a_layer_along_the_edge_are_said():
    (warning,) = label_warnings(band(columns=slice(40, 42)))
    assert warning.startswith("Only 2 of 120 columns")
    border = np.zeros((WIDTH, HEIGHT, 1), np.uint8)
    border[:, :4] = border[:, -4:] = border[:4] = border[-4:] = 1
    (warning,) = label_warnings(border)
    assert warning.startswith("Only 0 of the 120 columns that show the layer can be measured")
