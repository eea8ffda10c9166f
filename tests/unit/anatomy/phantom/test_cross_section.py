"""Vessels cut across: a ring, dark inside, brightest where it faces the beam."""

import numpy as np
import pytest

from sequal.anatomy.phantom.cross_section import CrossSection, draw_cross_sections, ring_level

VESSEL = CrossSection(
    x_mm=0.0,
    depth_mm=10.0,
    radius_mm=3.0,
    flatness=1.0,
    wall_mm=1.0,
    media_db=-25.0,
    intima=0.5,
    adventitia_db=0.0,
    adventitia_mm=1.0,
    blood_db=-60.0,
    facing=1.0,
    behind_db=5.0,
)


def test_levels_by_hand():
    across, depth = np.array([[0.0], [12.0]]), np.array([[4.0, 10.0, 13.5, 14.25, 16.0]])
    db, _ = ring_level(VESSEL, across, depth, np.full((2, 5), -20.0), np.zeros((2, 5)))
    # Above the ring, lumen, wall, ring (a quarter into it: 8 dB · 0.25 less), brighter tissue behind.
    assert db[0].tolist() == pytest.approx([-20.0, -60.0, -25.0, -2.0, -15.0])
    assert db[1].tolist() == pytest.approx([-20.0] * 5)


def test_its_lines_wane_where_it_does_not_face_the_beam():
    across, depth = np.array([[0.0], [3.0]]), np.array([[10.0, 13.05]])
    _, lines = ring_level(VESSEL, across, depth, np.full((2, 2), -20.0), np.zeros((2, 2)))
    assert lines[0, 1] == pytest.approx(0.5, abs=0.01)  # below the centre, at the lumen's edge
    assert lines[1, 0] == pytest.approx(0.0, abs=1e-6)  # beside it


def test_drawn_vessels_lie_in_the_frame():
    drawn = [draw_cross_sections(np.random.default_rng(seed), 38.0, 40.0) for seed in range(100)]
    assert {len(vessels) for vessels in drawn} == {1, 2, 3}
    first = [vessels[0] for vessels in drawn]
    assert all(abs(one.x_mm) <= 9.5 and 12.0 <= one.depth_mm <= 28.8 and one.wall_mm > 0 for one in first)
