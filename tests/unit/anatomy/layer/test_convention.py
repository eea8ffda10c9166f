import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sequal.anatomy.layer.convention import Convention, offsets


def layer(top, bottom, columns=slice(0, 20), shape=(20, 40)):
    """Mask whose rows `top` to `bottom`, both included, are the layer."""
    mask = np.zeros(shape, np.uint8)
    mask[columns, top : bottom + 1] = 1
    return mask


def test_offsets_by_hand():
    assert offsets(layer(10, 15), layer(9, 18)) == (-1.0, 3.0)


def test_unknown_columns_and_outliers_say_nothing():
    label = layer(9, 18)
    label[:8] = 255
    label[8:11] = layer(30, 31)[8:11]  # three columns somewhere else
    assert offsets(layer(10, 15), label) == (-1.0, 3.0)


def test_too_few_columns_are_no_evidence():
    assert offsets(layer(10, 15), layer(9, 18, slice(0, 7))) is None
    assert offsets(np.zeros((20, 40), np.uint8), layer(9, 18)) is None


def test_few_frames_count_little_and_no_frame_counts_nothing():
    assert Convention.of([(-1.0, 3.0)]) == Convention(-1 / 3, 1.0)
    many = Convention.of([(-1.0, 3.0)] * 38 + [(50.0, 50.0)] * 2)
    assert (many.li_px, many.ma_px) == pytest.approx((-1.0, 3.0), abs=0.2)
    assert Convention.of([]) == Convention()
    assert Convention.of([(0.0, 90.0)] * 50).ma_px == 5.0


def test_whole_pixels_are_drawn_as_they_are():
    drawn = Convention(-1.0, 3.0).draw(layer(10, 15, slice(3, 9)), np.random.default_rng(0))
    np.testing.assert_array_equal(drawn, layer(9, 18, slice(3, 9)))


def test_parts_of_a_pixel_are_right_on_average():
    rng, label = np.random.default_rng(0), layer(10, 15)
    drawn = [Convention(-0.25, 0.6).draw(label, rng)[0] for _ in range(400)]
    assert np.mean([one.argmax() for one in drawn]) == pytest.approx(9.75, abs=0.1)
    assert np.mean([39 - one[::-1].argmax() for one in drawn]) == pytest.approx(15.6, abs=0.1)


def test_nothing_is_moved_without_a_convention():
    label = layer(10, 15)
    assert Convention().draw(label, np.random.default_rng(0)) is label


@given(st.floats(-5, 5), st.floats(-5, 5), st.integers(0, 38), st.integers(1, 8))
def test_a_layer_stays_a_layer_of_at_least_a_pixel(li, ma, top, height):
    label = layer(top, min(top + height, 39))
    drawn = Convention(li, ma).draw(label, np.random.default_rng(0))
    assert set(np.unique(drawn)) <= {0, 1}
    if top >= 6 and top + height <= 33:
        assert drawn.any(axis=1).all()
