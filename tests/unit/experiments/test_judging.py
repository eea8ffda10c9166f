import numpy as np
import pytest

from sequal.experiments.judging import mean_figures
from unit.anatomy.measurement.judged import judged, layer


def test_frames_without_a_wall_count_in_failures_and_never_in_dice():
    wall, nothing = layer(20, 30), np.zeros((20, 60), np.uint8)
    found = mean_figures([judged(layer(18, 32), wall), judged(wall, nothing), judged(layer(45, 55), wall)])
    assert found["dice"] == pytest.approx((20 / 24 + 0) / 2)
    assert found["good"] == 0.5
    assert (found["failures"], found["without_layer"], found["false_masks"], found["empty"]) == (2, 1, 1, 0)
    # The wall that was found elsewhere is a failure; its distance of millimetres is not a boundary error.
    assert found["li_error"] == pytest.approx(0.1)
    assert mean_figures([judged(nothing, nothing)])["dice"] is None


def test_lengths_of_mixed_units_have_no_mean():
    frames = [judged(layer(18, 32), layer(20, 30)), judged(layer(18, 32), layer(20, 30), None)]
    found = mean_figures(frames)
    assert found["unit"] == "mixed"
    assert found["imt_bias"] is found["li_error"] is found["hd95"] is None
    assert found["dice"] == pytest.approx(20 / 24)
