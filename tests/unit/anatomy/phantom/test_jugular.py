"""The vein above the artery: dark, walled, and never the wall that is measured."""

import numpy as np
import pytest

from sequal.anatomy.phantom import Artefacts
from sequal.anatomy.phantom.anatomy import SAMPLES
from sequal.anatomy.phantom.jugular import Jugular, draw_jugular, jugular_level
from unit.anatomy.phantom.test_artefacts import frame, mean_at


def vein(gap_mm=2.0, height_mm=3.0):
    return Jugular(np.full(SAMPLES, gap_mm), np.full(SAMPLES, height_mm), -65.0, 0.9, 0.1, 4.0)


def test_levels_by_hand():
    depth = np.arange(0.0, 12.0, 0.5)[None, :]
    db, lines = jugular_level(vein(), depth, np.full((4, 1), 9.0), np.full((4, 24), -20.0), np.full((4, 24), 0.2))
    inside = (depth[0] > 4.0) & (depth[0] < 7.0)
    assert (db[:, inside] == -65.0).all()
    assert (db[:, (depth[0] >= 7.0) & (depth[0] < 7.8)] == -16.0).all()
    assert (db[:, depth[0] < 4.0] == -20.0).all()
    assert lines[0, 8] == pytest.approx(0.2 + 0.9)  # the upper wall, at 4 mm


def test_a_closed_vein_changes_nothing():
    depth, db = np.linspace(0, 12, 50)[None, :], np.full((4, 50), -20.0)
    level, lines = jugular_level(vein(height_mm=0.0), depth, np.full((4, 1), 9.0), db, np.zeros((4, 50)))
    np.testing.assert_array_equal(level, db)
    assert not lines.any()


def test_it_is_dark_in_the_frame_and_leaves_the_truth():
    plain, veined = frame(Artefacts()), frame(Artefacts(jugular=vein()))

    assert mean_at(veined, 4.5, 6.5) < mean_at(plain, 4.5, 6.5) - 20
    assert mean_at(veined, 18.0, 22.0) == pytest.approx(mean_at(plain, 18.0, 22.0), abs=4)
    np.testing.assert_array_equal(plain.mask, veined.mask)


def test_drawn_veins_differ_and_some_close():
    drawn = [draw_jugular(np.random.default_rng(seed)) for seed in range(100)]

    assert all((one.gap_mm >= 0.35).all() and (one.height_mm >= 0).all() for one in drawn)
    assert 0.1 < np.mean([(one.height_mm == 0).any() for one in drawn]) < 0.6
    assert len({one.blood_db for one in drawn}) == 100
