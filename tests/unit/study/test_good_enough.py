import numpy as np
import pytest

from sequal.study.good_enough import GOOD_DICE, Judged, estimate_good

CHOICES = ("random", "least predicted", "worse than it looks", "by patient")


def _sigmoid(x):
    return 1.0 / (1.0 + np.exp(-x))


def simulated_study(rng):
    """Predicted and true Dice of a study whose predictor is biased, noisy, and wrong in the same way within a patient.

    Returns the judged masks, the pool and how many masks of the pool are good.
    """
    patient = np.repeat(np.arange(50), 4)
    x = 2.0 + rng.normal(0, 0.8, 50)[patient] + rng.normal(0, 0.7, patient.size)
    offset, slope = rng.normal(-0.2, 0.5), rng.uniform(0.4, 1.4)
    error = rng.normal(0, 0.6, 50)[patient] + rng.normal(0, 0.6, patient.size)
    predicted, dice = _sigmoid(x), _sigmoid(offset + slope * x + error)
    order = {
        "random": rng.random(patient.size),
        "least predicted": predicted + rng.normal(0, 0.05, patient.size),
        "worse than it looks": predicted + dice + rng.normal(0, 0.3, patient.size),
        "by patient": rng.random(50)[patient],
    }[CHOICES[rng.integers(4)]].argsort()
    labels = int(rng.integers(8, 60))
    judged = [Judged(predicted[i], dice[i], f"p{patient[i]}") for i in order[:labels]]
    pool = {f"im{i}": (predicted[i], f"p{patient[i]}") for i in order[labels:]}
    return judged, pool, int((dice[order[labels:]] > GOOD_DICE).sum())


def test_the_interval_holds_the_truth_in_at_least_95_of_100_simulated_studies():
    inside, widths, errors = 0, [], []
    for seed in range(100):
        rng = np.random.default_rng([23, seed])
        judged, pool, truth = simulated_study(rng)
        found = estimate_good(judged, pool, rng)
        assert 0 <= found.low <= found.expected <= found.high <= found.images == len(pool)
        inside += found.low <= truth <= found.high
        widths.append((found.high - found.low) / len(pool))
        errors.append((found.expected - truth) / len(pool))
    assert inside >= 95
    # The interval says something, and the middle of it is not far off.
    assert np.mean(widths) < 0.7
    assert abs(np.mean(errors)) < 0.1


def test_more_labels_narrow_the_interval_and_a_good_predictor_is_believed():
    rng = np.random.default_rng(5)
    dice = rng.uniform(0.6, 1.0, 400)
    judged = [Judged(float(d + rng.normal(0, 0.01)), float(d), f"p{i}") for i, d in enumerate(dice[:200])]
    pool = {f"im{i}": (float(d), f"q{i}") for i, d in enumerate(dice[200:])}
    truth = int((dice[200:] > GOOD_DICE).sum())
    few, many = (estimate_good(judged[:n], pool, np.random.default_rng(0)) for n in (10, 200))
    assert many.high - many.low < 0.6 * (few.high - few.low)
    assert many.low <= truth <= many.high
    assert many.expected == pytest.approx(truth, abs=15)


def test_masks_of_former_models_count_less():
    """The model in service fails on what former models did well."""
    former = [Judged(0.9, 0.95, f"a{i}", age=3) for i in range(20)]
    now = [Judged(0.9, 0.6, f"b{i}") for i in range(8)]
    pool = {f"im{i}": (0.9, f"p{i}") for i in range(100)}
    aged = estimate_good([*former, *now], pool, np.random.default_rng(0))
    equal = estimate_good([Judged(0.9, 0.95, f"a{i}") for i in range(20)] + now, pool, np.random.default_rng(0))
    assert aged.expected < equal.expected - 20


def test_too_few_labels_or_no_pool_say_nothing():
    judged = [Judged(0.9, 0.9, "p")] * 4
    assert estimate_good(judged, {"a": (0.9, "q")}, np.random.default_rng(0)) is None
    assert estimate_good([*judged, *judged], {}, np.random.default_rng(0)) is None


def test_a_large_pool_is_drawn_from_and_counted_whole():
    judged = [Judged(0.9, 0.9 if i % 2 else 0.7, f"p{i}") for i in range(40)]
    pool = {f"im{i}": (0.9, f"q{i}") for i in range(9000)}
    found = estimate_good(judged, pool, np.random.default_rng(0))
    assert found.images == 9000
    assert found.expected == pytest.approx(4500, abs=700)
    assert found.low < 4000
    assert found.high > 5000
