import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sequal.anatomy.measurement import boundaries_from_mask, contours, mask_between
from sequal.errors import MeasurementError

GRID = (40, 30, 1)


def line(first, last, row, frame=0.0):
    """A straight curve of two points."""
    return np.array([[first, row, frame], [last, row, frame]], dtype=np.float64)


def test_a_line_that_is_dragged_down_by_five_pixels_moves_the_mask_by_five_rows():
    before = mask_between([line(0, 39, 9.5)], [line(0, 39, 17.5)], GRID)
    after = mask_between([line(0, 39, 14.5)], [line(0, 39, 17.5)], GRID)
    assert before[:, 10:18].all()
    assert before.sum() == 40 * 8
    assert before.sum() - after.sum() == 40 * 5
    assert after[:, 15:18].all()


def test_only_columns_that_both_lines_cross_are_filled():
    mask = mask_between([line(3.2, 30, 9.5)], [line(0, 20.9, 12.5)], GRID)
    assert np.flatnonzero(mask.any(axis=(1, 2))).tolist() == list(range(4, 21))


def test_points_may_come_in_any_order_and_a_line_in_parts():
    whole = mask_between([line(0, 39, 9.5)], [line(0, 39, 12.5)], GRID)
    assert np.array_equal(mask_between([line(0, 39, 9.5)[::-1]], [line(0, 39, 12.5)], GRID), whole)
    parts = mask_between([line(0, 10, 9.5), line(20, 39, 9.5)], [line(0, 39, 12.5)], GRID)
    assert not parts[11:20].any()
    assert np.array_equal(parts[:11], whole[:11])


def test_each_frame_of_a_clip_has_its_own():
    grid = (40, 30, 3)
    mask = mask_between([line(0, 39, 9.5, 1.2)], [line(0, 39, 12.5, 0.9)], grid)
    assert mask[:, 10:13, 1].all()
    assert not mask[:, :, [0, 2]].any()
    for frame in (-1.0, 3.0):
        with pytest.raises(MeasurementError, match="to lie in one frame of the image, 0 to 2"):
            mask_between([line(0, 39, 9.5, frame)], [], grid)
    slanted = np.array([[0, 9, 0], [39, 9, 2]], dtype=np.float64)
    with pytest.raises(MeasurementError, match="Draw it in the slice of its frame"):
        mask_between([], [slanted], grid)


def test_a_still_is_drawn_on_wherever_its_slice_lies():
    assert mask_between([line(0, 39, 9.5, 1.0)], [line(0, 39, 12.5, 1.0)], GRID).any()


def test_nothing_drawn_is_an_empty_mask():
    assert not mask_between([], [], GRID).any()
    assert not mask_between([line(0, 39, 9.5)], [], GRID).any()
    assert not mask_between([np.empty((0, 3))], [line(0, 39, 9.5)], GRID).any()


def test_lines_that_cross_and_points_that_are_none_are_refused():
    with pytest.raises(MeasurementError, match="`ma` to lie below `li`"):
        mask_between([line(0, 39, 12.5)], [line(0, 39, 9.5)], GRID)
    for curve in (np.array([[1.0, np.nan, 0.0]]), np.zeros((2, 2)), np.zeros(3)):
        with pytest.raises(MeasurementError, match="three finite numbers"):
            mask_between([curve], [], GRID)


@given(st.integers(2, 20), st.integers(2, 8), st.integers(0, 30), st.integers(1, 8))
def test_the_curves_of_a_mask_give_the_mask_back(top, thick, first, every):
    mask = np.zeros(GRID, np.uint8)
    mask[first:, top : top + thick] = 1
    found = contours(boundaries_from_mask(mask[:, :, 0]), every)

    def drawn(side):
        return [np.column_stack((c.columns, getattr(c, side), np.zeros(len(c.columns)))) for c in found]

    assert np.array_equal(mask_between(drawn("li"), drawn("ma"), GRID), mask)
