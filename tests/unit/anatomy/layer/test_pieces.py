import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import ndimage

from sequal.anatomy.layer.pieces import (
    drop_cut_across,
    drop_pieces_at_margin,
    drop_short_pieces,
    drop_without_lumen,
    keep_one_layer,
    lumen_unevenness,
)


def _wall(*pieces):
    """Pieces (first column, end column, row) of a wall, two pixels thick, in a frame of 100 by 40."""
    probability = np.full((100, 40), 0.1, np.float32)
    for start, end, row in pieces:
        probability[start:end, row : row + 2] = 0.9
    return probability


def test_specks_go_and_the_wall_stays():
    wall, speck = (0, 60, 20), (70, 75, 5)
    cleaned = drop_short_pieces(_wall(wall, speck), 0.1, 2.0)
    np.testing.assert_array_equal(cleaned > 0.5, _wall(wall) > 0.5)
    assert cleaned[72, 5] == 0


def test_a_second_long_piece_stays():
    both = _wall((0, 60, 20), (65, 90, 21))
    assert drop_short_pieces(both, 0.1, 2.0) is both


def test_a_piece_is_short_beside_a_longer_one():
    pieces = _wall((0, 60, 20), (70, 84, 5))  # 14 columns are 2.8 mm at 0.2 mm, under a quarter of 12 mm
    assert not (drop_short_pieces(pieces, 0.2, 2.0)[70:] > 0.5).any()
    assert (drop_short_pieces(_wall((0, 50, 20), (70, 84, 5)), 0.2, 2.0)[70:84] > 0.5).any()


def test_what_remains_of_a_frame_without_a_wall_is_nothing():
    assert not (drop_short_pieces(_wall((3, 9, 4), (50, 60, 30)), 0.1, 2.0) > 0.5).any()


def test_zero_drops_nothing():
    speck = _wall((3, 4, 4))
    assert drop_short_pieces(speck, 0.1, 0.0) is speck


@given(arrays(np.float32, (12, 7), elements=st.floats(0, 1, width=32)), st.floats(0, 3), st.floats(0.05, 0.5))
def test_only_whole_pieces_change_and_only_to_zero(probability, length, pixel):
    given_array = probability.copy()
    cleaned = drop_short_pieces(probability, pixel, length)
    np.testing.assert_array_equal(probability, given_array)
    changed = cleaned != probability
    assert (probability[changed] > 0.5).all()
    assert (cleaned[changed] == 0).all()
    again = drop_short_pieces(cleaned, pixel, length)
    np.testing.assert_array_equal(again, cleaned)


def test_a_second_layer_above_the_wall_goes_whole():
    wall, vein = (0, 90, 25), (20, 70, 8)
    np.testing.assert_array_equal(keep_one_layer(_wall(wall, vein)) > 0.5, _wall(wall) > 0.5)


def test_of_two_layers_alike_the_deeper_is_the_wall_of_the_artery():
    wall, vein = (10, 90, 25), (0, 95, 8)
    np.testing.assert_array_equal(keep_one_layer(_wall(wall, vein)) > 0.5, _wall(wall) > 0.5)


def test_a_short_deeper_layer_does_not_take_the_place_of_a_long_one():
    wall, below = (0, 95, 8), (20, 60, 25)
    np.testing.assert_array_equal(keep_one_layer(_wall(wall, below)) > 0.5, _wall(wall) > 0.5)


def test_pieces_of_one_wall_side_by_side_stay():
    both = _wall((0, 45, 20), (50, 100, 23))
    assert keep_one_layer(both) is both


def test_a_piece_that_overlaps_a_little_loses_those_columns_alone():
    cleaned = keep_one_layer(_wall((0, 60, 25), (50, 100, 8))) > 0.5
    assert cleaned[:60, 25].all()
    assert cleaned[60:, 8].all()
    assert not cleaned[50:60, 8].any()


@given(arrays(np.float32, (12, 9), elements=st.floats(0, 1, width=32)))
def test_no_column_keeps_two_pieces(probability):
    cleaned = keep_one_layer(probability)
    before, _ = ndimage.label(probability > 0.5, structure=np.ones((3, 3)))
    for column in range(12):
        assert len(set(before[column][cleaned[column] > 0.5])) <= 1


def _picture(margin):
    """A picture of 100 by 60: black margin above, then speckle."""
    pixels = np.random.default_rng(0).uniform(60, 200, (100, 60)).astype(np.float32)
    pixels[:, :margin] = 0
    return pixels


def test_the_upper_edge_of_the_scan_is_no_wall():
    probability = np.full((100, 60), 0.1, np.float32)
    probability[:, 11:14] = 0.9
    probability[:, 40:44] = 0.9
    cleaned = drop_pieces_at_margin(probability, _picture(margin=10), 0.1)
    assert not (cleaned[:, :20] > 0.5).any()
    np.testing.assert_array_equal(cleaned[:, 20:], probability[:, 20:])


def test_a_picture_without_a_margin_keeps_its_wall_near_the_top():
    probability = np.full((100, 60), 0.1, np.float32)
    probability[:, 26:29] = 0.9
    assert drop_pieces_at_margin(probability, _picture(margin=0), 0.1) is probability


def test_a_dark_lumen_without_a_near_wall_is_no_margin():
    rng = np.random.default_rng(1)
    pixels = rng.uniform(60, 200, (100, 60)).astype(np.float32)
    pixels[:, :30] = rng.rayleigh(8.0, (100, 30))
    probability = np.full((100, 60), 0.1, np.float32)
    probability[:, 30:38] = 0.9
    assert drop_pieces_at_margin(probability, pixels, 0.1) is probability


def test_a_band_on_a_flat_ground_is_no_edge_of_a_scan():
    pixels = np.zeros((100, 60), np.float32)
    pixels[:, 12:16] = 200
    np.testing.assert_array_equal(drop_pieces_at_margin(pixels / 200, pixels, 0.1), pixels / 200)


def test_letters_in_the_margin_are_not_the_scan():
    pixels = _picture(margin=30)
    pixels[20:30, 5:10] = 255
    probability = np.full((100, 60), 0.1, np.float32)
    probability[:, 32:35] = 0.9
    assert not (drop_pieces_at_margin(probability, pixels, 0.1) > 0.5).any()


def test_no_mask_and_a_flat_picture():
    nothing = np.zeros((10, 10), np.float32)
    assert drop_pieces_at_margin(nothing, _picture(0)[:10, :10], 0.1) is nothing
    everything = np.ones((10, 40), np.float32)
    assert drop_pieces_at_margin(everything, np.zeros((10, 40), np.float32), 0.1) is everything


def _bands(above, below):
    """A layer of 0.8 mm across a picture of 100 by 120 pixels of 0.1 mm, over a black of 10.

    Above it, columns of twice `above` beside black ones: their mean and standard deviation are `above`.
    """
    pixels = np.full((100, 120), 10.0, np.float32)
    pixels[::2, 20:70] += 2 * above
    pixels[:, 70:78] += 60
    pixels[:, 78:110] += below
    return pixels


def _layer(p):
    probability = np.full((100, 120), 0.01, np.float32)
    probability[:, 70:78] = p
    return probability


@pytest.mark.parametrize(
    ("above", "p", "kept"), [(60, 0.8, False), (60, 0.97, True), (10, 0.8, True), (25, 0.6, False)]
)
def test_an_unsure_layer_without_a_lumen_above_it_is_no_wall(above, p, kept):
    probability = _layer(p)
    found = drop_without_lumen(probability, _bands(above, 100), 0.1)
    assert (found is probability) == kept
    assert (found > 0.5).any() == kept


@pytest.mark.parametrize(("labelled", "kept"), [(0.0, False), (0.39, False), (0.41, True)])
def test_a_lumen_half_as_uneven_again_as_one_above_a_label_is_believed(labelled, kept):
    found = drop_without_lumen(_layer(0.8), _bands(60, 100), 0.1, labelled)
    assert (found > 0.5).any() == kept


def test_an_unsure_layer_below_even_fog_is_a_wall():
    pixels = _bands(60, 100)
    pixels[:, 20:70] = 70
    probability = _layer(0.8)
    assert drop_without_lumen(probability, pixels, 0.1) is probability


@pytest.mark.parametrize(("columns", "scan", "kept"), [(100, 100, True), (40, 100, False), (40, 50, True)])
def test_a_layer_in_a_part_of_the_scan_has_to_be_surer(columns, scan, kept):
    probability, pixels = np.full((100, 120), 0.002, np.float32), _bands(60, 100)
    probability[:columns, 70:78] = 0.9
    pixels[scan:] = 10
    assert (drop_without_lumen(probability, pixels, 0.1) > 0.5).any() == kept


@pytest.mark.parametrize(
    ("lumen", "columns", "kept"), [(3.5, 100, True), (3.5, 40, True), (2.9, 100, True), (2.9, 40, False)]
)
def test_a_lumen_with_the_near_wall_in_its_band_is_believed_below_a_layer_that_crosses_the_scan(lumen, columns, kept):
    pixels = _bands(0, 100)
    pixels[:, : 70 - round(10 * lumen)] = 110
    probability = np.full((100, 120), 0.002, np.float32)
    probability[:columns, 70:78] = 0.85
    assert (drop_without_lumen(probability, pixels, 0.1) > 0.5).any() == kept


def test_the_unevenness_of_a_lumen_is_the_spread_above_the_layer_over_the_grey_below_it():
    layer = _layer(0.8) > 0.5
    assert lumen_unevenness(layer, _bands(60, 100), 0.1) == pytest.approx(0.6)
    assert lumen_unevenness(layer, _bands(0, 100), 0.1) == 0
    assert lumen_unevenness(layer, _bands(60, 0), 0.1) == np.inf
    assert lumen_unevenness(layer, _bands(0, 0), 0.1) == 0
    at_bottom = np.zeros_like(layer)
    at_bottom[:, -3:] = True
    assert lumen_unevenness(at_bottom, _bands(60, 100), 0.1) is None
    assert lumen_unevenness(np.zeros_like(layer), _bands(60, 100), 0.1) is None


def test_a_doubtful_layer_with_an_uneven_side_above_it_and_black_below_it_is_no_wall():
    assert not drop_without_lumen(_layer(0.7), _bands(100, 0), 0.1).any()


def test_grey_values_on_another_scale_say_the_same():
    pixels = _bands(60, 100)
    for scaled in (pixels / 255, 200 * pixels - 3000):
        assert not drop_without_lumen(_layer(0.8), scaled, 0.1).any()


def test_a_layer_at_the_edge_of_the_picture_and_an_empty_mask_stay_as_they_are():
    at_top = np.full((100, 120), 0.01, np.float32)
    at_top[:, :3] = 0.8
    at_bottom = at_top[:, ::-1].copy()
    for probability in (at_top, at_bottom, np.full((100, 120), 0.3, np.float32)):
        assert drop_without_lumen(probability, _bands(60, 100), 0.1) is probability


@pytest.mark.parametrize(
    ("columns", "scanned", "kept"),
    [(30, 100, False), (30, 60, True), (50, 100, True), (45, 150, True)],
)
def test_a_layer_as_short_as_a_vessel_is_wide_goes_where_the_scan_is_wider(columns, scanned, kept):
    """4 mm are the shortest; 30 of 60 columns are half of the scan."""
    probability = np.zeros((150, 120), np.float32)
    probability[:columns, 70:76] = 0.9
    pixels = np.zeros((150, 120), np.float32)
    pixels[:scanned, 10:] = 100
    found = drop_cut_across(probability, pixels, 0.1, 4.0)
    assert (found > 0.5).any() == kept
    assert kept == (found is probability)
