"""Echoes beside the anatomy's: where they may appear, and where nothing may change."""

from dataclasses import replace

import numpy as np
import pytest

from sequal.anatomy.phantom import SCANNERS, Artefacts, Sheath, draw_anatomy, draw_artefacts, simulate_frame
from sequal.anatomy.phantom.overlay import draw_panels

SCANNER = replace(SCANNERS["B"], width_mm=16.0, depth_mm=24.0, noise_db=-70.0, dynamic_range_db=60.0)


def anatomy(**changes):
    drawn = draw_anatomy(np.random.default_rng(4), "ordinary", SCANNER.width_mm, SCANNER.depth_mm)
    n = len(drawn.li_mm)
    return replace(
        drawn,
        near_mm=np.full(n, 9.0),
        li_mm=np.full(n, 16.0),
        ma_mm=np.full(n, 16.7),
        in_plane=np.ones(n),
        strength=np.full(n, 0.9),
        shadow_db=np.zeros(n),
        **{"vein": None, **changes},
    )


def frame(artefacts, **changes):
    rng = np.random.default_rng(7)
    return simulate_frame(rng, scanner=SCANNER, anatomy=anatomy(**changes), screen=False, artefacts=artefacts)


def mean_at(found, top_mm, bottom_mm):
    """Mean grey value between two depths."""
    top, bottom = (round(depth / SCANNER.spacing_mm) for depth in (top_mm, bottom_mm))
    return float(found.pixels[:, top:bottom].mean())


def test_a_ghost_of_the_near_wall_lies_at_its_delay_and_nowhere_else():
    clean, ghosted = frame(Artefacts()), frame(Artefacts(ghosts=((3.0, 0.5),)))

    assert mean_at(ghosted, 11.9, 12.1) > mean_at(clean, 11.9, 12.1) + 40
    assert mean_at(ghosted, 13.5, 15.0) == pytest.approx(mean_at(clean, 13.5, 15.0), abs=2)
    assert mean_at(ghosted, 17.5, 22.0) == pytest.approx(mean_at(clean, 17.5, 22.0), abs=2)


def test_a_ghost_that_would_lie_behind_the_lumen_is_left_out():
    clean, ghosted = frame(Artefacts()), frame(Artefacts(ghosts=((8.5, 1.0),)))

    np.testing.assert_array_equal(ghosted.pixels, clean.pixels)


def test_haze_fills_the_lumen_alone():
    clean, hazy = frame(Artefacts()), frame(Artefacts(haze=-20.0))

    assert mean_at(hazy, 12.0, 15.0) > mean_at(clean, 12.0, 15.0) + 40
    assert mean_at(hazy, 18.0, 22.0) == pytest.approx(mean_at(clean, 18.0, 22.0), abs=3)


def test_the_rim_of_a_vein_is_bright_above_and_below_it():
    vein = (0.0, 0.6, 5.0, 1.5)
    bare, walled = frame(Artefacts(), vein=vein), frame(Artefacts(vein_rim=0.9), vein=vein)

    for depth in (3.5, 6.5):
        assert mean_at(walled, depth - 0.15, depth + 0.15) > mean_at(bare, depth - 0.15, depth + 0.15) + 20


def test_a_sheath_is_a_bright_band_under_a_dark_muscle_and_the_artery_lies_in_front():
    sheath = Sheath(7.0, 7.0, 0.0, 0.8, -6.0, 2.5, -50.0, 0.0, 0.5)
    plain, sheathed = frame(Artefacts()), frame(Artefacts(sheaths=(sheath,)))

    assert mean_at(sheathed, 7.1, 7.7) > mean_at(plain, 7.1, 7.7) + 40
    assert mean_at(sheathed, 5.0, 6.5) < mean_at(plain, 5.0, 6.5) - 20
    assert mean_at(sheathed, 18.0, 22.0) == pytest.approx(mean_at(plain, 18.0, 22.0), abs=4)

    through_lumen = frame(Artefacts(sheaths=(replace(sheath, left_mm=12.0, right_mm=12.0, muscle_mm=1.0),)))
    assert mean_at(through_lumen, 11.5, 14.0) == pytest.approx(mean_at(plain, 11.5, 14.0), abs=3)


def test_the_truth_does_not_depend_on_artefacts():
    clean, dirty = frame(Artefacts()), frame(Artefacts(ghosts=((1.0, 0.5),), haze=-25.0, vein_rim=0.5))

    np.testing.assert_array_equal(clean.mask, dirty.mask)


def test_a_given_scanner_has_none_so_that_studies_stay_as_they_are():
    with_none, default = (
        simulate_frame(np.random.default_rng(5), scanner=SCANNERS["D"], **kwargs)
        for kwargs in ({"artefacts": Artefacts()}, {})
    )
    np.testing.assert_array_equal(with_none.pixels, default.pixels)


def test_drawn_artefacts_differ_and_some_frames_have_a_clean_lumen():
    drawn = [draw_artefacts(np.random.default_rng(seed), 38.0, 40.0, "ordinary") for seed in range(200)]

    assert 0.2 < np.mean([bool(one.ghosts) for one in drawn]) < 0.5
    assert 0.25 < np.mean([one.haze is not None for one in drawn]) < 0.55
    assert any(not one.ghosts and one.haze is None for one in drawn)
    assert all(0 <= strength <= 0.5 for one in drawn for _, strength in one.ghosts)


def test_only_frames_without_a_wall_show_vessels_cut_across_or_muscles_alone():
    walled, bare = (
        [draw_artefacts(np.random.default_rng(seed), 38.0, 40.0, kind) for seed in range(200)]
        for kind in ("ordinary", "no_wall")
    )
    assert not any(one.cross_sections or one.muscles for one in walled)
    assert 0.3 < np.mean([bool(one.cross_sections) for one in bare]) < 0.5
    assert 0.4 < np.mean([bool(one.muscles) for one in bare]) < 0.6
    assert not any(one.cross_sections and (one.muscles or one.jugular) for one in bare)


def test_the_intima_of_a_thickened_wall_can_always_be_seen():
    thick, ordinary = (
        [draw_artefacts(np.random.default_rng(seed), 38.0, 40.0, kind).intima for seed in range(100)]
        for kind in ("thickened", "ordinary")
    )
    assert min(thick) >= 1.0
    assert 0.2 < np.mean([strength < 1.0 for strength in ordinary]) < 0.5


def test_a_faint_intima_leaves_the_adventitia_alone_to_be_seen():
    clear, faint = frame(Artefacts()), frame(Artefacts(intima=0.0))

    assert mean_at(faint, 16.0, 16.3) < mean_at(clear, 16.0, 16.3) - 15
    assert mean_at(faint, 17.0, 17.8) == pytest.approx(mean_at(clear, 17.0, 17.8), abs=3)


def test_the_adventitia_is_seen_later_where_its_leading_edge_is_marked_earlier():
    plain, marked = frame(Artefacts()), frame(Artefacts(edge_mm=0.3))

    assert mean_at(marked, 16.8, 17.0) < mean_at(plain, 16.8, 17.0) - 15
    np.testing.assert_array_equal(plain.mask, marked.mask)


def test_panels_cover_margins_and_leave_the_scan_area():
    screen = np.zeros((60, 50), dtype=np.uint8)
    screen[10:40, 5:30] = 7
    paneled = [draw_panels(screen, (10, 5), (30, 25), np.random.default_rng(seed)) for seed in range(20)]

    assert all((found[10:40, 5:30] == 7).all() for found in paneled)
    assert any(found.max() > 7 for found in paneled)
    assert (screen[10:40, 5:30] == 7).all()
    assert screen.max() == 7
