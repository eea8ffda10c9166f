import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter

from sequal.anatomy.measurement import Boundaries, boundaries_from_mask, boundaries_from_probability
from sequal.errors import MeasurementError
from unit.anatomy.measurement.layers import wall


def test_crossing_is_interpolated_between_pixel_centres() -> None:
    found = boundaries_from_probability(np.array([[0.0, 0.2, 0.7, 1.0, 0.9, 0.4, 0.1]]))
    assert found.li[0] == pytest.approx(1.6)
    assert found.ma[0] == pytest.approx(4.8)


def test_another_threshold_moves_the_crossing() -> None:
    found = boundaries_from_probability(np.array([[0.0, 0.2, 0.7, 1.0, 0.9, 0.4, 0.1]]), threshold=0.6)
    assert found.li[0] == pytest.approx(1.8)
    assert found.ma[0] == pytest.approx(4.6)


def test_mask_boundaries_lie_half_a_pixel_outside_the_run() -> None:
    found = boundaries_from_mask(np.array([[0, 0, 1, 1, 1, 0]]))
    assert (found.li[0], found.ma[0]) == (1.5, 4.5)


def test_mask_boundaries_have_no_bias_against_random_sub_pixel_depths() -> None:
    rng = np.random.default_rng(3)
    errors = []
    for _ in range(40):
        layer = wall(rng, rng.uniform(0.5, 1.0))
        found = boundaries_from_mask(layer.mask)
        assert np.abs(found.li - layer.li).max() <= 0.5 + 1e-9
        assert np.abs(found.ma - layer.ma).max() <= 0.5 + 1e-9
        errors.append((np.mean(found.li - layer.li), np.mean(found.ma - layer.ma)))
    # 12 000 columns with errors even in ±0.5: half a pixel of bias would show as 0.5.
    assert np.abs(np.mean(errors, axis=0)).max() < 0.01


def test_mask_and_its_blurred_copy_agree() -> None:
    layer = wall(np.random.default_rng(5), 0.8)
    sharp = boundaries_from_mask(layer.mask)
    soft = boundaries_from_probability(gaussian_filter(layer.mask.astype(float), 1.0))
    assert np.nanmean(soft.li) == pytest.approx(np.nanmean(sharp.li), abs=0.05)
    assert np.nanmean(soft.ma) == pytest.approx(np.nanmean(sharp.ma), abs=0.05)


def test_speckle_above_and_below_is_ignored() -> None:
    layer = wall(np.random.default_rng(1), 0.7)
    noisy = layer.mask.copy()
    noisy[20:50, 5:30] = 1
    noisy[100:104, 150:154] = 1
    clean, found = boundaries_from_mask(layer.mask), boundaries_from_mask(noisy)
    np.testing.assert_array_equal(found.li, clean.li)
    np.testing.assert_array_equal(found.ma, clean.ma)


def test_layer_goes_on_behind_a_drop_out_but_a_patch_elsewhere_does_not_fill_it() -> None:
    mask = np.zeros((100, 60), dtype=np.uint8)
    mask[:40, 30:40] = 1
    mask[60:, 31:41] = 1
    mask[45:55, 2:8] = 1
    found = boundaries_from_mask(mask)
    assert np.flatnonzero(found.measured).tolist() == [*range(40), *range(60, 100)]
    assert found.li[70] == 30.5


def test_enclosed_hole_does_not_split_the_layer() -> None:
    mask = np.zeros((9, 20), dtype=np.uint8)
    mask[:, 5:15] = 1
    mask[4, 9] = 0
    found = boundaries_from_mask(mask)
    assert (found.li[4], found.ma[4]) == (4.5, 14.5)


def test_two_walls_that_touch_at_both_ends_are_not_one_thick_wall() -> None:
    mask = np.zeros((30, 60), dtype=np.uint8)
    mask[:, 5:12] = mask[:, 40:50] = 1
    mask[:3, 5:50] = mask[-3:, 5:50] = 1
    found = boundaries_from_mask(mask)
    assert set((found.ma - found.li)[3:-3]) == {10.0}
    assert found.crowded == 24


def test_something_else_that_is_drawn_is_counted_and_not_measured() -> None:
    mask = np.zeros((20, 40), dtype=np.uint8)
    mask[:, 20:28] = 1
    assert boundaries_from_mask(mask).crowded == 0
    mask[4:9, 5:9] = 1
    found = boundaries_from_mask(mask)
    assert found.crowded == 5
    assert set(found.ma - found.li) == {8.0}
    mask[:6, 20:28] = 0  # where it stands alone, it is still not the layer
    assert boundaries_from_mask(mask).crowded == 5


def test_a_notch_in_the_rounded_end_of_a_wall_is_no_second_wall() -> None:
    mask = np.zeros((40, 40), dtype=np.uint8)
    mask[2:, 10:22] = 1
    mask[1, 10:12] = mask[1, 15:22] = 1  # three free pixels, a quarter of the thickness
    assert boundaries_from_mask(mask).crowded == 0
    mask[1, 12:15], mask[1, 30:32], mask[2, 22:32] = 1, 1, 1
    mask[1, 22:30] = 0  # eight: as far as a second wall
    assert boundaries_from_mask(mask).crowded == 1


def test_a_notch_inside_a_long_wall_is_no_second_wall_and_a_short_one_above_it_is() -> None:
    mask = np.zeros((400, 60), dtype=np.uint8)
    mask[:, 20:30] = 1
    mask[200:204, 20:28] = 0
    mask[200:204, 20] = 1  # seven free pixels in four columns
    found = boundaries_from_mask(mask)
    assert (found.crowded, found.several_pieces) == (4, False)
    mask[100:120, 5:9] = 1
    assert boundaries_from_mask(mask).several_pieces


def test_longest_run_of_a_forked_column_counts() -> None:
    mask = np.zeros((6, 20), dtype=np.uint8)
    mask[:, 8:14] = 1
    mask[2:4, 4:6] = 1  # joined diagonally through the pixel below
    mask[1, 6] = mask[1, 7] = 1
    found = boundaries_from_mask(mask)
    assert (found.li[2], found.ma[2]) == (7.5, 13.5)


def test_layer_cut_by_the_edge_has_no_boundary() -> None:
    mask = np.zeros((3, 10), dtype=np.uint8)
    mask[0, 0:4] = mask[1, 3:7] = mask[2, 6:10] = 1
    assert boundaries_from_mask(mask).measured.tolist() == [False, True, False]


def test_boundary_towards_pixels_that_are_not_annotated_is_unknown() -> None:
    mask = np.array([[0, 0, 1, 1, 1, 0, 0], [255, 255, 1, 1, 1, 0, 0], [0, 0, 1, 1, 1, 255, 0]], dtype=np.uint8)
    found = boundaries_from_mask(mask)
    assert found.measured.tolist() == [True, False, False]


def test_thin_columns_are_left_out() -> None:
    mask = np.zeros((2, 9), dtype=np.uint8)
    mask[0, 3:7] = mask[1, 4:6] = 1
    assert boundaries_from_mask(mask, min_thickness_px=3.0).measured.tolist() == [True, False]


@pytest.mark.parametrize("shape", [(7, 9), (1, 1), (0, 5), (4, 0)])
def test_empty_map_gives_nan_everywhere(shape: tuple[int, int]) -> None:
    found = boundaries_from_probability(np.zeros(shape))
    assert found.li.shape == (shape[0],)
    assert not found.measured.any()


def test_full_map_has_no_boundary() -> None:
    assert not boundaries_from_probability(np.ones((4, 5))).measured.any()


@pytest.mark.parametrize(
    ("probability", "words"),
    [
        (np.zeros((2, 3, 1)), "frames of a clip"),
        (np.array([[0.0, 4.0]]), "not logits"),
        (np.array([[0.0, np.nan]]), "not logits"),
    ],
)
def test_impossible_maps_are_refused(probability: np.ndarray, words: str) -> None:
    with pytest.raises(MeasurementError, match=words):
        boundaries_from_probability(probability)


@pytest.mark.parametrize("threshold", [0.0, 1.0, float("nan")])
def test_impossible_thresholds_are_refused(threshold: float) -> None:
    with pytest.raises(MeasurementError, match="threshold"):
        boundaries_from_probability(np.zeros((2, 3)), threshold=threshold)


def test_crossed_or_unequal_boundaries_are_refused() -> None:
    with pytest.raises(MeasurementError, match="reverse in 1 columns, first in 1"):
        Boundaries(np.array([1.0, 5.0]), np.array([2.0, 4.0]))
    with pytest.raises(MeasurementError, match="one length"):
        Boundaries(np.zeros(2), np.zeros(3))


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**31), thickness_mm=st.floats(0.4, 1.2))
def test_flips_turn_the_boundaries_with_the_image(seed: int, thickness_mm: float) -> None:
    layer = wall(np.random.default_rng(seed), thickness_mm, width=60, height=120)
    soft = gaussian_filter(layer.mask.astype(float), 1.0)
    found = boundaries_from_probability(soft)
    sideways = boundaries_from_probability(soft[::-1])
    upside_down = boundaries_from_probability(soft[:, ::-1])
    np.testing.assert_allclose(sideways.li, found.li[::-1], atol=1e-9)
    np.testing.assert_allclose(upside_down.li, 119 - found.ma, atol=1e-9)
    np.testing.assert_allclose(upside_down.ma, 119 - found.li, atol=1e-9)
