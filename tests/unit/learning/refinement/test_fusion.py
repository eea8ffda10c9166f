import numpy as np
import pytest

from sequal.learning.refinement import fuse


@pytest.mark.parametrize(
    ("label", "predicted", "confidence", "expected"),
    [
        (0, 2, 0.9, 2),  # sure of another class
        (1, 2, 0.9, 2),
        (1, 2, 0.8, 1),  # m must exceed λ
        (2, 0, 0.95, 0),
        (255, 2, 0.9, 2),
        (255, 2, 0.5, 255),
    ],
)
def test_the_rule_with_several_classes_in_any_shape(label, predicted, confidence, expected):
    current = np.array([[[label, 1], [2, 2]]], np.uint8)
    classes = np.array([[[predicted, 1], [2, 2]]], np.uint8)
    sure = np.full((1, 2, 2), 0.6, np.float32)
    sure[0, 0, 0] = confidence
    result = fuse(current, current, classes, sure, threshold=0.8)
    assert result.accepted
    assert result.label.tolist() == [[[expected, 1], [2, 2]]]
    assert result.pixels_changed == int(expected != label)


def test_another_class_in_the_same_place_is_no_agreement():
    expert = np.array([1, 1, 0, 0], np.uint8)
    sure = np.full(4, 0.9, np.float32)
    assert not fuse(expert, expert, np.array([2, 2, 0, 0], np.uint8), sure, min_agreement=0.5).accepted
    assert fuse(expert, expert, np.array([1, 2, 0, 0], np.uint8), sure, min_agreement=0.5).accepted
