import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sequal.anatomy.measurement import Boundaries, contours
from sequal.errors import MeasurementError


def _boundaries(measured, slope=0.1):
    columns = np.arange(len(measured))
    li = np.where(measured, 10 + slope * columns, np.nan)
    return Boundaries(li, li + 8)


def test_points_by_hand():
    measured = np.array([0, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 1, 1, 0, 0, 0, 0, 1], dtype=bool)
    found = contours(_boundaries(measured), every=3)
    assert [one.columns.tolist() for one in found] == [[1, 4, 6], [11, 12]]
    np.testing.assert_allclose(found[0].li, [10.1, 10.4, 10.6])
    np.testing.assert_allclose(found[0].thickness, 8)


def test_a_narrow_gap_is_passed_over_and_a_wide_one_is_not():
    measured = np.ones(40, dtype=bool)
    measured[10:13] = False
    assert len(contours(_boundaries(measured), every=4)) == 1
    assert len(contours(_boundaries(measured), every=3)) == 2


def test_no_layer_no_curve():
    assert contours(_boundaries(np.zeros(5, dtype=bool)), every=1) == ()
    assert contours(_boundaries(np.zeros(0, dtype=bool)), every=1) == ()


@pytest.mark.parametrize("every", [0, -1])
def test_a_distance_that_is_none_is_refused(every):
    with pytest.raises(MeasurementError, match="at least 1 column"):
        contours(_boundaries(np.ones(5, dtype=bool)), every)


@given(st.lists(st.booleans(), max_size=80), st.integers(1, 9))
def test_points_lie_on_the_boundary_and_never_across_a_wide_gap(measured, every):
    boundaries = _boundaries(np.array(measured, dtype=bool))
    columns = [one.columns for one in contours(boundaries, every)]
    for one, found in zip(columns, contours(boundaries, every), strict=True):
        assert len(one) >= 2
        assert (np.diff(one) > 0).all()
        # A gap may push a point on by less than its own width.
        assert (np.diff(one) < 2 * every).all()
        np.testing.assert_array_equal(found.li, boundaries.li[one])
        np.testing.assert_array_equal(found.ma, boundaries.ma[one])
    flat = np.concatenate(columns) if columns else np.empty(0)
    assert (np.diff(flat) > 0).all()
    # Ends of every stretch of two columns or more are there.
    positions = np.flatnonzero(measured)
    starts = [s for s in np.split(positions, np.flatnonzero(np.diff(positions) > every) + 1) if s.size > 1]
    assert [(one[0], one[-1]) for one in columns] == [(s[0], s[-1]) for s in starts]
