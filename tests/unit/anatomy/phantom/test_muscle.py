"""Layers of muscle with their sheaths."""

from itertools import pairwise

import numpy as np

from sequal.anatomy.phantom.muscle import MuscleLayer, draw_muscles, muscle_level


def test_levels_by_hand():
    layer = MuscleLayer(4.0, 6.0, 0.0, 1.0, 0.0, 0.0, -30.0, 2.0)
    depth = np.array([[3.0, 4.5, 6.5, 9.0]])
    level = muscle_level(layer, depth, np.full((3, 4), 1.5), np.zeros(3))
    # The band lies at 4, 5 and 6 mm; below it the muscle, two times the streaks brighter.
    np.testing.assert_array_equal(level[0], [np.nan, 0.0, -27.0, -27.0])
    np.testing.assert_array_equal(level[1], [np.nan, np.nan, -27.0, -27.0])
    np.testing.assert_array_equal(level[2], [np.nan, np.nan, 0.0, -27.0])


def test_drawn_layers_lie_one_below_the_other():
    for seed in range(50):
        layers = draw_muscles(np.random.default_rng(seed), 40.0)
        middles = [(layer.left_mm + layer.right_mm) / 2 for layer in layers]
        assert 2 <= len(layers) <= 5
        assert all(below - above > -2.0 for above, below in pairwise(middles))
