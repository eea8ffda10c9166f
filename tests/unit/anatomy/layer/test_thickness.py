import numpy as np
import pytest

from sequal.anatomy.layer.thickness import matching_offset, thicker_than_drawn

MM = 0.05


def _soft(top, bottom, size=(40, 60), blur=2.0):
    """A layer from row `top` to row `bottom`, whose probability falls over a few rows."""
    rows = np.arange(size[1])
    odds = np.minimum(rows - top + 0.5, bottom - rows - 0.5) / blur
    return np.tile((1 / (1 + np.exp(-2 * odds))).astype(np.float32), (size[0], 1))


def _drawn(top, bottom, size=(40, 60)):
    label = np.zeros(size, np.uint8)
    label[:, top:bottom] = 1
    return label


def test_a_mask_as_thick_as_the_label_stays():
    lower, same, higher = thicker_than_drawn(_soft(20, 30), _drawn(20, 30), MM)
    assert same == pytest.approx(0, abs=1e-3)
    assert lower == pytest.approx(-higher, abs=1e-2)
    assert higher == pytest.approx(2 * 1.5 * MM, rel=0.1)  # each boundary by one and a half rows
    assert matching_offset([(lower, same, higher)] * 8) == pytest.approx(0, abs=0.02)


@pytest.mark.parametrize(("top", "bottom"), [(19, 31), (21, 29)])
def test_the_offset_takes_a_bias_away(top, bottom):
    seen = [thicker_than_drawn(_soft(top, bottom), _drawn(20, 30), MM)] * 1000
    offset = matching_offset(seen)
    p = _soft(top, bottom)
    odds = np.exp(offset) * p / (1 - p)
    again = thicker_than_drawn((odds / (1 + odds)).astype(np.float32), _drawn(20, 30), MM)
    assert abs(again[1]) < 0.1 * abs(seen[0][1])
    assert (offset < 0) == (top < 20)


def test_few_frames_say_little_and_none_nothing():
    one = thicker_than_drawn(_soft(19, 31), _drawn(20, 30), MM)
    assert matching_offset([one]) == pytest.approx(matching_offset([one] * 1000) / 3, rel=0.01)
    assert matching_offset([]) == 0
    assert matching_offset([(0.1, 0.1, 0.1)]) == 0, "masks that no offset changes"


def test_what_is_far_too_thick_gets_the_largest_offset():
    assert matching_offset([(1.0, 1.1, 1.2)] * 1000) == pytest.approx(-1.5, rel=0.01)


@pytest.mark.parametrize("wrong", [-3.0, 2.0])
def test_a_label_of_absurd_thickness_does_not_move_the_others(wrong):
    right = [(-0.03, 0.02, 0.07)] * 10
    mistake = (wrong - 0.1, wrong, wrong + 0.1)
    assert matching_offset([*right, mistake]) == matching_offset(right)
    assert matching_offset([(-0.1, 0.0, 0.1), mistake]) == 0, "nobody knows which of the two is right"


def test_where_nobody_traced_and_where_no_layer_is_shown_nothing_counts():
    label = _drawn(20, 30)
    label[:34] = 255
    assert thicker_than_drawn(_soft(20, 30), label, MM) is None
    label[:34] = _drawn(10, 40)[:34]  # elsewhere, the layer is shown nowhere
    shown = _soft(20, 30)
    shown[:30] = 0
    assert thicker_than_drawn(shown, _drawn(20, 30), MM)[1] == pytest.approx(0, abs=1e-3)


def test_probabilities_stay_within_0_and_1_to_the_last_bit():
    rng = np.random.default_rng(0)
    for _ in range(20):
        near_one = (1 - 10 ** rng.uniform(-9, -1, (40, 12))).astype(np.float32)
        shown = np.zeros((40, 60), np.float32)
        shown[:, 20:32] = near_one
        assert thicker_than_drawn(shown, _drawn(20, 30), MM) is not None
