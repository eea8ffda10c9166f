import pytest

from sequal.experiments.reliability import calibration_error, reliability


def entry(labels, *images):
    shown = [{"confidence": stated, "dice": dice, "layer": layer} for stated, dice, layer in images]
    return {"labelled": [str(i) for i in range(labels)], "test": {"images": shown}}


def test_ranges_by_hand():
    rounds = [
        entry(0, (0.91, 0.7, True), (0.93, 0.9, True), (None, 0.0, True), (1.0, 1.0, True)),
        entry(5, (0.6, 0.5, True)),
        entry(0, (0.92, 1.0, False)),  # a mask where no wall is, whatever its Dice says
    ]
    found = reliability(rounds)
    assert [(one.labels, one.low, one.high, one.frames) for one in found] == [
        (0, 0.9, 0.95, 3),
        (0, 0.95, 1.0, 1),
        (5, 0.5, 0.7, 1),
    ]
    assert (found[0].stated, found[0].dice) == pytest.approx((0.92, 1.6 / 3))
    assert calibration_error(found) == pytest.approx((3 * (0.92 - 1.6 / 3) + 0.0 + 0.1) / 5, abs=1e-6)


def test_rounds_that_noted_no_confidence_say_nothing():
    assert reliability([{"labelled": [], "test": {"images": [{"dice": 0.5, "layer": True}]}}]) == []
    assert calibration_error([]) is None
