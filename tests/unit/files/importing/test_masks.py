import numpy as np
import pytest

from sequal.errors import LabelError
from sequal.files.importing.masks import read_mask


@pytest.mark.parametrize(
    ("values", "layer_value", "expected"),
    [
        ([0, 1], None, [0, 1]),
        ([0, 255], None, [0, 1]),
        ([0, 128], None, [0, 1]),
        ([0, 1, 255], None, [0, 1, 255]),
        ([1, 1], None, [1, 1]),
        ([0, 0], None, [0, 0]),
        ([0, 0], 3, [0, 0]),
        ([0, 2, 3], 3, [0, 0, 1]),
        ([0, 2, 255], 2, [0, 1, 255]),
        ([0, 2, 255], 255, [0, 0, 1]),
    ],
)
def test_values_become_classes(values, layer_value, expected):
    label = read_mask(np.array(values, np.uint8), "m.png", layer_value)
    assert label.tolist() == expected
    assert label.dtype == np.uint8


@pytest.mark.parametrize(
    ("values", "layer_value", "message"),
    [
        ([0, 2, 3], None, r"got \[2, 3\].*--layer-value"),
        ([0, 2], 1, "pixels of the layer, got none"),
    ],
)
def test_a_mask_that_cannot_be_understood_is_refused(values, layer_value, message):
    with pytest.raises(LabelError, match=message):
        read_mask(np.array(values, np.uint8), "m.png", layer_value)
