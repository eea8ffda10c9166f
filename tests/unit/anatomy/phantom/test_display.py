"""How a scan area reaches the screen."""

import numpy as np

from sequal.anatomy.phantom import SCANNERS, Display, draw_display, simulate_frame
from sequal.anatomy.phantom.display import scan_sides, show


def area(seed=0):
    return np.random.default_rng(seed).integers(30, 220, (61, 45)).astype(np.uint8)


def test_a_plain_display_changes_nothing():
    np.testing.assert_array_equal(show(area(), Display()), area())


def test_grey_levels_are_as_many_as_asked_for():
    assert len(np.unique(show(area(), Display(grey_levels=16)))) <= 16


def test_lossy_storage_errs_by_about_its_step_and_keeps_the_size():
    shown = show(area(), Display(block_step=6.0))
    error = np.abs(shown.astype(int) - area().astype(int))
    assert shown.shape == area().shape
    assert 0 < error.mean() < 24


def test_slanted_sides_are_black_outside_and_untouched_inside():
    display = Display(left=(0.2, 0.0), right=(0.2, 0.0))
    shown = show(area(), display)
    left, right = scan_sides(display, 61, 45)
    x = np.arange(61)[:, None]
    inside = (x >= left) & (x <= right)
    assert (shown[~inside] == 0).all()
    np.testing.assert_array_equal(shown[inside], area()[inside])


def test_no_wall_is_claimed_outside_slanted_sides():
    display = Display(left=(0.15, 0.15), right=(0.1, 0.1))
    frames = [
        simulate_frame(np.random.default_rng(3), kind="ordinary", scanner=SCANNERS["B"], screen=False, display=d)
        for d in (Display(), display)
    ]
    width = len(frames[0].li)
    outside = (np.arange(width) < 0.15 * (width - 1)) | (np.arange(width) > 0.9 * (width - 1))
    assert np.isfinite(frames[0].li[outside]).any()
    assert np.isnan(frames[1].li[outside]).all()
    np.testing.assert_array_equal(frames[1].li[~outside], frames[0].li[~outside])


def test_a_given_scanner_shows_plainly_so_that_studies_stay_as_they_are():
    plain, default = (
        simulate_frame(np.random.default_rng(5), kind="plaque", scanner=SCANNERS["D"], **kwargs)
        for kwargs in ({"display": Display()}, {})
    )
    np.testing.assert_array_equal(plain.pixels, default.pixels)


def test_random_displays_differ_and_some_are_plain():
    drawn = [draw_display(np.random.default_rng(seed)) for seed in range(200)]
    plain = sum(display == Display() for display in drawn)
    assert 40 < plain < 120
    assert len(set(drawn)) > 50


def test_despeckling_takes_single_bright_pixels_out_and_keeps_edges():
    grey = np.full((40, 40), 60, dtype=np.uint8)
    grey[:, 20:] = 180
    speckled = grey.copy()
    speckled[7, 7] = speckled[30, 31] = 255

    np.testing.assert_array_equal(show(speckled, Display(despeckling_px=3)), grey)
