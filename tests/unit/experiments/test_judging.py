import numpy as np
import pytest

from sequal.experiments.judging import judge_frame, mean_figures

SPACING = (0.1, 0.05)


def layer(top, bottom, columns=slice(0, 20)):
    """Rows top to bottom - 1 of a frame of 20 x 60."""
    found = np.zeros((20, 60), np.uint8)
    found[columns, top:bottom] = 1
    return found


def judged(mask, truth, spacing_mm=SPACING):
    return judge_frame(mask.astype(np.float32), truth, spacing_mm)


def test_figures_worked_by_hand():
    found = judged(layer(18, 32), layer(20, 30))
    assert found["dice"] == pytest.approx(2 * 10 / (14 + 10))
    assert found["imt_true"] == pytest.approx(10 * 0.05)
    assert found["imt_bias"] == found["imt_error"] == pytest.approx(4 * 0.05)
    assert (found["li_bias"], found["ma_bias"]) == (pytest.approx(-0.1), pytest.approx(0.1))
    assert (found["li_error"], found["ma_error"]) == (pytest.approx(0.1), pytest.approx(0.1))
    assert (found["unit"], found["layer"], found["empty"], found["failed"]) == ("mm", True, False, False)


def test_errors_of_both_signs_do_not_cancel_but_biases_do():
    mask = layer(18, 30, slice(0, 10)) | layer(22, 30, slice(10, 20))
    found = judged(mask, layer(20, 30))
    assert found["li_bias"] == pytest.approx(0.0)
    assert found["li_error"] == pytest.approx(0.1)
    assert found["imt_error"] == pytest.approx(0.0)


def test_what_nobody_traced_counts_for_nothing():
    truth = layer(20, 30)
    truth[10:] = 255
    mask = layer(20, 30)
    mask[10:, 5:50] = 1  # thick, and somewhere else as well, where nobody traced
    found = judged(mask, truth)
    assert found["dice"] == 1.0
    assert found["imt_bias"] == pytest.approx(0.0)
    assert found["li_error"] == pytest.approx(0.0)
    assert judged(layer(20, 30, slice(10, 20)), truth)["empty"]


def test_thickness_is_that_of_the_columns_that_show_the_layer():
    mask = layer(20, 30)
    mask[10:, 15:35] = 1  # beyond the end of the wall
    assert judged(mask, layer(20, 30, slice(0, 10)))["imt_bias"] == pytest.approx(0.0)


def test_failures_are_frames_under_a_half_and_masks_without_a_wall():
    wall, nothing = layer(20, 30), np.zeros((20, 60), np.uint8)
    assert judged(layer(45, 55), wall)["failed"]
    assert judged(nothing, wall)["failed"]
    assert judged(nothing, wall)["empty"]
    assert judged(wall, nothing)["failed"]
    assert not judged(nothing, nothing)["failed"]
    unknown = np.full((20, 60), 255, np.uint8)
    unknown[:5] = 0
    assert not judged(layer(20, 30, slice(5, 20)), unknown)["failed"]


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
