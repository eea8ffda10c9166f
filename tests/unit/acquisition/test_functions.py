import math
from functools import partial

import numpy as np
import pytest
import scipy.stats
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sequal.acquisition import (
    ACQUISITION_FUNCTIONS,
    Seen,
    entropy,
    layer_entropy,
    least_confidence,
    margin,
    pseudo_label_divergence,
    score_all,
)


def log_probabilities(*pixels):
    """(1, C, W, 1) from one tuple of class probabilities a pixel."""
    return torch.tensor(pixels, dtype=torch.float64).log().T[None, :, :, None]


def random_pair(seed, batch=3, classes=3, size=(5, 4)):
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(2, batch, classes, *size, generator=generator, dtype=torch.float64) * 3
    return logits.log_softmax(dim=2).unbind(0)


BY_LAYER = {"pld": partial(pseudo_label_divergence, form="layer"), "layer_entropy": layer_entropy}

# Two pixels, worked by hand.
TEACHER = log_probabilities((0.8, 0.2), (0.4, 0.6))
STUDENT = log_probabilities((0.5, 0.5), (0.9, 0.1))


@pytest.mark.parametrize(
    ("score", "by_hand"),
    [
        (
            pseudo_label_divergence(TEACHER, STUDENT, form="kl"),
            (
                0.8 * math.log(0.8 / 0.5)
                + 0.2 * math.log(0.2 / 0.5)
                + 0.4 * math.log(0.4 / 0.9)
                + 0.6 * math.log(0.6 / 0.1)
            )
            / 2,
        ),
        (pseudo_label_divergence(TEACHER, STUDENT, form="pseudo_label"), (-math.log(0.5) - math.log(0.1)) / 2),
        (
            pseudo_label_divergence(TEACHER, STUDENT, form="layer", thin_px=0.25),
            (-math.log(0.5) - math.log(0.1)) / (2 * 0.25 + 0.2 + 0.6),
        ),
        (entropy(TEACHER, STUDENT), (0.5004024235381879 + 0.6730116670092565) / 2),
        (
            layer_entropy(TEACHER, STUDENT, thin_px=0.25),
            (0.5004024235381879 + 0.6730116670092565) / (2 * 0.25 + 0.2 + 0.6),
        ),
        (least_confidence(TEACHER, STUDENT), (0.2 + 0.4) / 2),
        (margin(TEACHER, STUDENT), ((1 - 0.6) + (1 - 0.2)) / 2),
    ],
    ids=["kl", "pseudo_label", "layer", "entropy", "layer_entropy", "least_confidence", "margin"],
)
def test_worked_by_hand(score, by_hand):
    assert score.shape == (1,)
    assert score.item() == pytest.approx(by_hand, rel=1e-12)


def test_against_scipy():
    teacher, student = random_pair(0)
    p, q = teacher.exp().numpy(), student.exp().numpy()
    kl = scipy.stats.entropy(p, q, axis=1).mean(axis=(1, 2))
    np.testing.assert_allclose(pseudo_label_divergence(teacher, student, form="kl").numpy(), kl, rtol=1e-12)
    np.testing.assert_allclose(
        entropy(teacher, student).numpy(), scipy.stats.entropy(p, axis=1).mean(axis=(1, 2)), rtol=1e-12
    )


def test_pseudo_label_form_is_the_kl_from_the_one_hot_label():
    teacher, student = random_pair(1)
    one_hot = torch.nn.functional.one_hot(teacher.argmax(1), 3).permute(0, 3, 1, 2).double().log()
    torch.testing.assert_close(
        pseudo_label_divergence(teacher, student, form="pseudo_label"),
        pseudo_label_divergence(one_hot, student, form="kl"),
    )


def test_certain_teacher_gives_no_nan():
    certain = log_probabilities((1.0, 0.0))
    assert pseudo_label_divergence(certain, certain, form="kl").item() == 0
    assert entropy(certain, certain).item() == 0
    assert margin(certain, certain).item() == 0


def test_two_networks_that_agree_up_to_rounding_never_have_a_negative_divergence():
    teacher = random_pair(7, batch=64)[0].float()
    student = (teacher.double() + 1e-7).float()  # sums to more than 1, so that the naive sum is negative
    assert (teacher.exp() * (teacher - student)).sum(1).mean((1, 2)).min() < 0
    assert (pseudo_label_divergence(teacher, student, form="kl") >= 0).all()


def test_confident_disagreement_is_not_bounded():
    logits = torch.tensor([100.0, 0.0]).view(1, 2, 1, 1)
    score = pseudo_label_divergence(logits.log_softmax(1), (-logits).log_softmax(1), form="kl")
    assert score.item() == pytest.approx(100)


@pytest.mark.parametrize("name", ACQUISITION_FUNCTIONS)
def test_mask_leaves_out_pixels_whatever_they_hold(name):
    teacher, student = random_pair(2)
    function = ACQUISITION_FUNCTIONS[name]
    mask = torch.ones(3, 1, 5, 4)
    mask[:, :, 3:] = 0
    expected = function(teacher[:, :, :3], student[:, :, :3])
    teacher[:, :, 3:] = torch.nan
    student[:, :, 3:] = torch.nan
    torch.testing.assert_close(function(teacher, student, mask), expected)


@pytest.mark.parametrize("name", ACQUISITION_FUNCTIONS)
def test_empty_mask_gives_nan_for_that_image_alone(name):
    teacher, student = random_pair(3)
    mask = torch.ones(3, 1, 5, 4, dtype=torch.bool)
    mask[1] = False
    assert ACQUISITION_FUNCTIONS[name](teacher, student, mask).isnan().tolist() == [False, True, False]


def test_unknown_form_is_refused():
    with pytest.raises(ValueError, match="pseudo_label"):
        pseudo_label_divergence(TEACHER, STUDENT, form="js")


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**31), classes=st.integers(2, 4))
def test_ranges(seed, classes):
    teacher, student = random_pair(seed, classes=classes)
    slack = 1e-12
    assert (pseudo_label_divergence(teacher, student, form="kl") >= 0).all()
    assert pseudo_label_divergence(teacher, teacher, form="kl").abs().max() < slack
    assert (entropy(teacher, student) <= math.log(classes) + slack).all()
    assert (least_confidence(teacher, student) <= 1 - 1 / classes + slack).all()
    assert ((margin(teacher, student) >= 0) & (margin(teacher, student) <= 1)).all()


def test_score_all_names_every_function():
    teacher, student = random_pair(4)
    scores = score_all(Seen(teacher, student, teacher, pld_form="kl"))
    assert set(scores) == {"pld", "layer_entropy", "entropy", "least_confidence", "margin", "sqa"}
    assert all(values.dtype == torch.float64 and values.shape == (3,) for values in scores.values())
    torch.testing.assert_close(
        scores["pld"], pseudo_label_divergence(teacher.float(), student.float(), form="kl").double()
    )


def test_score_all_takes_the_other_scores_from_the_teacher():
    reference, other = random_pair(5)
    teacher, _ = random_pair(6)
    scores = score_all(Seen(reference, other, teacher))
    torch.testing.assert_close(scores["entropy"], entropy(teacher.float(), other).double())
    torch.testing.assert_close(scores["pld"], pseudo_label_divergence(reference.float(), other.float()).double())


def test_half_precision_is_scored_in_single():
    teacher, student = random_pair(7)
    halves = score_all(Seen(teacher.half(), student.half(), teacher.half()))
    exact = score_all(Seen(teacher, student, teacher))
    torch.testing.assert_close(halves["pld"], exact["pld"], rtol=2e-3, atol=2e-3)


@pytest.mark.parametrize("score", BY_LAYER.values(), ids=BY_LAYER)
def test_scores_by_layer_count_valid_pixels_alone(score):
    generator = torch.Generator().manual_seed(0)
    teacher, student = (torch.randn(2, 2, 6, 5, generator=generator).log_softmax(1) for _ in range(2))
    mask = torch.zeros(2, 1, 6, 5)
    mask[:, :, :3] = 1
    torch.testing.assert_close(score(teacher, student, mask), score(teacher[:, :, :3], student[:, :, :3]))


@pytest.mark.parametrize("score", BY_LAYER.values(), ids=BY_LAYER)
def test_scores_by_layer_ask_for_a_doubtful_wall_before_specks_and_before_a_long_certain_wall(score):
    specks, doubtful, certain = (np.full((40, 30), 0.0) for _ in range(3))
    specks[5, 5:7] = specks[30, 20:22] = 0.4
    doubtful[5:20, 10:12] = 0.7
    certain[:, 10:16] = 1.0
    certain[:, [9, 16]] = 0.25  # the edge of every wall is in doubt
    by_layer, by_frame = (
        [function(*pair_of(frame)).item() for frame in (specks, doubtful, certain)]
        for function in (partial(score, thin_px=0.5), entropy)
    )
    assert by_layer[1] > max(by_layer[0], by_layer[2])
    assert by_frame[2] > by_frame[1]  # more wall, more edge


def test_layer_entropy_asks_for_traces_of_a_missed_wall_before_a_good_mask_and_before_nothing():
    missed, good, nothing = (np.full((40, 30), 0.0) for _ in range(3))
    missed[:, 10:16] = 0.2  # no mask comes out of it
    good[:, 10:16] = 1.0
    good[:, [9, 16]] = 0.25
    asked = [layer_entropy(*pair_of(frame), thin_px=0.5).item() for frame in (missed, good, nothing)]
    assert asked[0] > asked[1] > asked[2]


def pair_of(probability):
    """Two networks that agree on the probability of the layer, float (W, H)."""
    p = torch.as_tensor(probability, dtype=torch.float64).clamp(1e-4, 1 - 1e-4)
    both = torch.stack([1 - p, p])[None].log()
    return both, both
