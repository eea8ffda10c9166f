"""The simulator: known boundaries, every kind, the same numbers from the same seed."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sequal.anatomy.phantom import (
    KINDS,
    SCANNERS,
    draw_anatomy,
    draw_kind,
    draw_scanner,
    mask_from_boundaries,
    simulate_frame,
)

SMALL = replace(SCANNERS["B"], width_mm=16.0, depth_mm=24.0)


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_renders_grey_values_with_contrast(kind):
    frame = simulate_frame(np.random.default_rng(3), kind=kind, scanner=SMALL)

    assert frame.kind == kind
    assert frame.pixels.dtype == np.uint8
    assert frame.pixels.std() > 8
    assert frame.pixels.shape[0] == len(frame.li) == len(frame.ma)
    assert frame.mask.any() == (kind != "no_wall")


def test_same_seed_same_frame_other_seed_other_frame():
    first, again, other = (simulate_frame(np.random.default_rng(s), scanner=SMALL) for s in (1, 1, 2))

    assert np.array_equal(first.pixels, again.pixels)
    assert np.array_equal(first.li, again.li, equal_nan=True)
    assert first.pixels.shape != other.pixels.shape or not np.array_equal(first.pixels, other.pixels)


def test_global_random_state_is_left_alone():
    np.random.seed(0)  # noqa: NPY002 - the state that must not move
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    simulate_frame(np.random.default_rng(1), scanner=SMALL)

    assert np.array_equal(before, np.random.get_state()[1])  # noqa: NPY002


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000))
def test_layer_has_a_thickness_in_the_clinical_range_and_lies_in_the_frame(seed):
    rng = np.random.default_rng(seed)
    scanner = draw_scanner(rng)
    anatomy = draw_anatomy(rng, draw_kind(rng), scanner.width_mm, scanner.depth_mm)
    imt = anatomy.ma_mm - anatomy.li_mm

    assert (imt > 0.2).all()
    assert (imt < 6.0).all()
    assert (anatomy.near_mm <= anatomy.li_mm).all()


def test_mask_pixel_is_inside_from_li_up_to_ma():
    mask = mask_from_boundaries(np.array([1.0, 1.2, np.nan]), np.array([3.0, 3.2, np.nan]), 6)

    assert mask.tolist() == [[0, 1, 1, 0, 0, 0], [0, 0, 1, 1, 0, 0], [0, 0, 0, 0, 0, 0]]


def test_counting_mask_pixels_is_unbiased():
    rng = np.random.default_rng(0)
    li = rng.uniform(10.0, 40.0, 4000)
    ma = li + rng.uniform(4.0, 20.0, 4000)

    counted = mask_from_boundaries(li, ma, 80).sum(axis=1)

    assert abs(np.mean(counted - (ma - li))) < 0.02


def test_grey_values_show_the_wall_where_the_truth_says():
    frames = [simulate_frame(np.random.default_rng(s), kind="ordinary", scanner=SMALL, screen=False) for s in range(6)]
    lumen, adventitia = [], []
    for frame in frames:
        for x in np.flatnonzero(np.isfinite(frame.li)):
            li, ma = int(frame.li[x]), int(frame.ma[x])
            lumen.append(frame.pixels[x, li - 12 : li - 4].mean())
            adventitia.append(frame.pixels[x, ma + 2 : ma + 8].mean())

    assert np.median(adventitia) > np.median(lumen) + 60


def test_a_screen_keeps_the_boundaries_on_the_wall():
    bare = simulate_frame(np.random.default_rng(5), kind="ordinary", scanner=SMALL, screen=False)
    screens = [simulate_frame(np.random.default_rng(5), kind="ordinary", scanner=SMALL) for _ in range(1)]
    for screen in screens:
        shift_x = np.flatnonzero(np.isfinite(screen.li))[0] - np.flatnonzero(np.isfinite(bare.li))[0]
        offset = np.nanmin(screen.li) - np.nanmin(bare.li)
        inside = screen.pixels[shift_x:, round(offset) :][: bare.pixels.shape[0], : bare.pixels.shape[1]]

        assert inside.shape == bare.pixels.shape
        assert np.mean(inside == bare.pixels) > 0.9


def test_the_fixed_scanners_span_the_pixels_of_real_ones():
    spacings = [scanner.spacing_mm for scanner in SCANNERS.values()]

    assert min(spacings) == 0.04
    assert max(spacings) == 0.1
    frame = simulate_frame(np.random.default_rng(0), kind="ordinary", scanner=SCANNERS["E"])
    assert frame.spacing_mm == (0.04, 0.04)
    assert frame.mask.any()
