import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from sequal.anatomy.layer.far_background import far_background

LABELS = arrays(np.uint8, (6, 8), elements=st.sampled_from([0, 1, 255]))


def _traced(width=40, height=60, columns=slice(10, 20), rows=slice(30, 33)):
    label = np.full((width, height), 255, np.uint8)
    label[columns] = 0
    label[columns, rows] = 1
    return label


def test_reach_by_hand():
    # 0.5 mm a pixel: three pixels of margin, and one more for each column at 45 degrees.
    out = far_background(_traced(), (0.5, 0.5), 45.0)
    for column, distance in ((20, 1), (25, 6), (9, 1), (0, 10)):
        unknown = np.flatnonzero(out[column] == 255)
        assert (unknown.min(), unknown.max()) == (30 - 3 - distance, 32 + 3 + distance)
        assert (out[column, : unknown.min()] == 0).all()


def test_pixels_that_are_wider_than_deep():
    out = far_background(_traced(), (1.0, 0.5), 45.0)
    assert np.flatnonzero(out[21] == 255).min() == 30 - 3 - 2 * 2


def test_either_end_of_a_gap_allows_its_own_reach():
    label = _traced()
    label[30:35] = 0
    label[30:35, 10:12] = 1
    out = far_background(label, (0.5, 0.5), 1.0)
    unknown = np.flatnonzero(out[25] == 255)
    assert {8, 11, 28, 34} <= set(unknown)
    assert 20 not in unknown


@pytest.mark.parametrize("label", [np.full((4, 5), 255, np.uint8), np.zeros((4, 5), np.uint8)])
def test_nothing_follows_from_nothing(label):
    np.testing.assert_array_equal(far_background(label, (0.1, 0.1), 30.0), label)


@given(LABELS, st.floats(0, 90))
def test_only_unknown_pixels_change_and_only_to_background(label, angle):
    before = label.copy()
    out = far_background(label, (0.12, 0.06), angle)
    np.testing.assert_array_equal(label, before)
    changed = out != label
    assert (label[changed] == 255).all()
    assert (out[changed] == 0).all()
    if angle == 90:
        assert not changed.any()
