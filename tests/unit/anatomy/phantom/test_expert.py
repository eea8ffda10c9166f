"""The simulated expert: sparse, noisy, biased, and never certain of what it did not trace."""

import numpy as np
import pytest

from sequal.anatomy.phantom import SimulatedExpert, draw_reader, mask_from_boundaries

WIDTH, HEIGHT, SPACING = 400, 120, (0.1, 0.1)
LI, MA = np.full(WIDTH, 50.0), np.full(WIDTH, 58.0)
EXACT = SimulatedExpert(jitter_mm=0.0, coarse_probability=0.0, traced=(1.0, 1.0))


def test_an_expert_without_errors_gives_the_truth():
    rng = np.random.default_rng(0)
    truth = mask_from_boundaries(LI, MA, HEIGHT)

    assert np.array_equal(EXACT.annotate(LI, MA, SPACING, HEIGHT, rng), truth)
    assert np.array_equal(EXACT.annotate_mask(truth, SPACING, rng), truth)


def test_columns_that_were_not_traced_are_unknown_from_top_to_bottom():
    expert = SimulatedExpert(traced=(0.5, 0.5))
    label = expert.annotate(LI, MA, SPACING, HEIGHT, np.random.default_rng(1))
    unknown = (label == 255).all(axis=1)

    assert unknown.sum() == WIDTH // 2
    assert not (label[~unknown] == 255).any()
    assert (label[~unknown] == 1).any(axis=1).all()


@pytest.mark.parametrize("annotate", ["boundaries", "mask"])
def test_a_readers_bias_comes_back_as_thickness(annotate):
    thick = SimulatedExpert(bias_li_mm=-0.2, bias_ma_mm=0.1, jitter_mm=0.0, coarse_probability=0.0, traced=(1.0, 1.0))
    rng = np.random.default_rng(0)
    truth = mask_from_boundaries(LI, MA, HEIGHT)
    label = (
        thick.annotate(LI, MA, SPACING, HEIGHT, rng)
        if annotate == "boundaries"
        else thick.annotate_mask(truth, SPACING, rng)
    )

    # 0.3 mm at 0.1 mm a pixel: three pixels more than the true eight.
    assert np.mean((label == 1).sum(axis=1)) == pytest.approx(11.0, abs=0.51)


def test_two_layers_in_a_column_get_the_same_errors():
    truth = mask_from_boundaries(LI, MA, HEIGHT) | mask_from_boundaries(LI + 40, MA + 40, HEIGHT)
    label = SimulatedExpert(traced=(1.0, 1.0)).annotate_mask(truth, SPACING, np.random.default_rng(2))
    upper, lower = (label == 1)[:, :75].sum(axis=1), (label == 1)[:, 75:].sum(axis=1)

    assert np.array_equal(upper, lower)
    assert upper.std() > 0


def test_what_the_truth_does_not_know_stays_unknown():
    truth = mask_from_boundaries(LI, MA, HEIGHT)
    truth[:150] = 255
    truth[200, :40] = 255
    label = EXACT.annotate_mask(truth, SPACING, np.random.default_rng(0))
    assert np.array_equal(label, truth)
    noisy = draw_reader(np.random.default_rng(3))
    for seed in range(5):
        drawn = noisy.annotate_mask(truth, SPACING, np.random.default_rng(seed))
        assert (drawn[truth == 255] == 255).all()
        assert (drawn == 1).any()


def test_no_wall_gives_an_empty_label_and_an_unknown_truth_an_unknown_one():
    nothing = np.full(WIDTH, np.nan)
    expert = draw_reader(np.random.default_rng(0))

    assert (expert.annotate(nothing, nothing, SPACING, HEIGHT, np.random.default_rng(0)) == 0).all()
    assert (expert.annotate_mask(np.zeros((5, 5), int), SPACING, np.random.default_rng(0)) == 0).all()
    assert (expert.annotate_mask(np.full((5, 5), 255), SPACING, np.random.default_rng(0)) == 255).all()


def test_same_seed_same_label():
    expert = draw_reader(np.random.default_rng(4))
    first, again = (expert.annotate(LI, MA, SPACING, HEIGHT, np.random.default_rng(7)) for _ in range(2))

    assert np.array_equal(first, again)
