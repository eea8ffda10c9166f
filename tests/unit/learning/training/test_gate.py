import json
from pathlib import Path

import numpy as np
import pytest

from sequal.learning.training.gate import LabelFigures, chance, decide
from unit.learning.training.score_tables import good_round, poisoned_round

ROUNDS = 100
RECORDED = json.loads((Path(__file__).parent / "recorded_rounds.json").read_text())


def _label(image, before, early, after, *, patient=None, new=True):
    return LabelFigures(image, patient or image, before, early, after, new)


def _decide(figures, **more):
    return decide(figures, **{"finite": True, "in_service": True, **more})


@pytest.mark.parametrize(
    ("labels", "known", "failing"),
    [(2, 0, 0.1), (5, 0, 0.1), (10, 0, 0.1), (10, 5, 0.1), (5, 0, 0.5), (10, 5, 0.5), (20, 10, 0.4), (40, 30, 0.1)],
)
def test_good_rounds_are_published(labels, known, failing):
    rng = np.random.default_rng(1)
    published = sum(_decide(good_round(rng, labels, known=known, failing=failing)).publish for _ in range(ROUNDS))
    assert published >= 95


@pytest.mark.parametrize("labels", [3, 5, 8])
def test_a_task_of_its_own_is_published_although_the_model_in_service_knows_nothing_of_it(labels):
    rng = np.random.default_rng(2)
    published = sum(_decide(good_round(rng, labels, another_task=True)).publish for _ in range(ROUNDS))
    assert published >= 95


@pytest.mark.parametrize(
    ("labels", "bad", "known"), [(5, 2, 0), (10, 4, 0), (10, 5, 5), (8, 3, 5), (20, 6, 10), (40, 5, 35), (40, 12, 20)]
)
def test_poisoned_rounds_are_held_back_and_the_bad_labels_named(labels, bad, known):
    rng = np.random.default_rng(3)
    verdicts = [_decide(poisoned_round(rng, labels, bad, known=known)) for _ in range(ROUNDS)]
    assert sum(verdict.publish for verdict in verdicts) <= 5
    named = {f"im{index}" for index in range(labels - bad, labels)}
    assert np.mean([len(named & set(verdict.doubted)) / bad for verdict in verdicts]) > 0.9
    assert np.mean([len(set(verdict.doubted) - named) for verdict in verdicts]) < 0.1 * labels


@pytest.mark.parametrize("recorded", RECORDED["rounds"], ids=lambda recorded: recorded["name"])
def test_rounds_of_real_networks(recorded):
    figures = [_label(label["image"], *label["dice"], new=label["new"]) for label in recorded["labels"]]
    verdict = _decide(figures)
    assert verdict.publish is recorded["good"], verdict.reason
    bad = {label["image"] for label in recorded["labels"] if not label["good"]}
    assert set(verdict.doubted) <= bad | {label["image"] for label in recorded["labels"] if label["dice"][0] < 0.3}
    assert bad <= set(verdict.doubted)


def test_what_is_worse_on_every_label_is_held_back():
    verdict = _decide([_label(f"im{i}", 0.9, 0.8, 0.6) for i in range(3)])
    assert not verdict.publish
    assert verdict.worse == ("im0", "im1", "im2")
    assert "3 of 3 labels" in verdict.reason
    assert "0.900 before and 0.600 after, on 3 labels of 3 patients" in verdict.reason


def test_what_is_a_little_worse_everywhere_is_held_back_and_chance_is_not():
    rng = np.random.default_rng(4)
    lower = [_label(f"im{i}", 0.9, 0.9, 0.85 + rng.normal(0, 0.01)) for i in range(10)]
    assert "agrees less with the labels" in _decide(lower).reason
    same = [_label(f"im{i}", 0.9, 0.9, 0.9 + rng.normal(0, 0.03)) for i in range(10)]
    assert _decide(same).publish
    slight = [_label(f"im{i}", 0.9, 0.9, 0.895) for i in range(10)]
    assert _decide(slight).publish


def test_one_label_of_ten_may_object():
    good = [_label(f"im{i}", 0.8, 0.8, 0.9) for i in range(9)]
    assert _decide([*good, _label("im9", 0.9, 0.8, 0.5)]).publish
    assert _decide([*good, _label("im9", 0.0, 0.0, 0.0)]).doubted == ("im9",)


def test_labels_of_one_patient_have_one_voice():
    good = [_label(f"im{i}", 0.8, 0.8, 0.9) for i in range(9)]
    one = [_label(f"x{i}", 0.9, 0.8, 0.5, patient="p") for i in range(5)]
    verdict = _decide([*good, *one])
    assert (verdict.publish, verdict.frames, verdict.patients) == (True, 14, 10)
    assert not _decide([*good, *[_label(f"x{i}", 0.9, 0.8, 0.5) for i in range(5)]]).publish


@pytest.mark.parametrize("labels", [1, 3])
def test_a_round_that_lost_every_label_of_a_single_patient_is_held_back(labels):
    lost = [_label(f"im{i}", 0.8, 0.4, 0.1, patient="p") for i in range(labels)]
    assert "does not find again" in _decide(lost).reason
    assert not _decide(lost).publish
    assert _decide([_label("no layer", 1.0, 0.0, 0.0)]).publish is False
    assert _decide([_label("a little worse", 0.8, 0.7, 0.65)]).publish  # as two readers differ
    assert _decide([_label("a little worse, across the limit", 0.31, 0.3, 0.29)]).publish
    assert _decide([*lost, _label("kept", 0.8, 0.8, 0.8, patient="p")]).publish
    assert _decide(lost, in_service=False).publish


def test_new_labels_alone_can_hold_a_round_back():
    old = [_label(f"im{i}", 0.9, 0.9, 0.9, new=False) for i in range(60)]
    bad = [_label(f"x{i}", 0.0, 0.0, 0.8) for i in range(3)]
    assert chance(3, 63) > 0.2
    assert "3 of 3 new labels" in _decide([*old, *bad]).reason
    assert "(look at x0, x1, x2)" in _decide([*old, *bad]).reason


def test_where_hardly_anything_is_taken_up_early_the_end_counts():
    slow = [_label(f"im{i}", 0.0, 0.1, 0.6) for i in range(5)]
    assert _decide(slow).publish
    assert _decide([*slow[:3], *[_label(f"x{i}", 0.0, 0.1, 0.1) for i in range(2)]]).doubted == ("x0", "x1")
    nothing = [_label(f"im{i}", 0.02, 0.05, 0.1) for i in range(5)]
    assert _decide(nothing).publish  # a small network from random weights, in its first rounds


def test_a_label_that_is_held_out_cannot_be_doubted():
    good = [_label(f"im{i}", 0.8, 0.8, 0.9) for i in range(3)]
    assert _decide([*good, *[_label(f"x{i}", 0.0, None, 0.1) for i in range(2)]]).publish


def test_held_out_labels_do_not_make_a_task_of_its_own_look_bad():
    learnt = [_label(f"im{i}", 0.0, 0.05, 0.8) for i in range(5)]
    assert _decide([*learnt, *[_label(f"x{i}", 0.0, None, 0.6) for i in range(5)]]).publish
    nothing = [_label(f"im{i}", 0.02, 0.05, 0.1) for i in range(3)]
    assert _decide([*nothing, *[_label(f"x{i}", 0.02, None, 0.05) for i in range(5)]]).publish
    good = [_label(f"y{i}", 0.8, 0.8, 0.9) for i in range(5)]
    bad = [_label(f"z{i}", 0.0, 0.05, 0.8) for i in range(4)]
    held_out = [_label(f"x{i}", 0.8, None, 0.8) for i in range(2)]
    assert _decide([*good, *bad, *held_out]).doubted == ("z0", "z1", "z2", "z3")


def test_without_a_model_in_service_there_is_nothing_to_lose():
    worse = [_label(f"im{i}", 0.9, 0.8, 0.6) for i in range(3)]
    assert _decide(worse, in_service=False).publish
    assert not _decide(worse, in_service=False, finite=False).publish
    assert "diverged" in _decide([], finite=False).reason
    assert _decide([]).publish


def test_the_verdict_is_json():
    verdict = _decide([_label("im0", 0.9, 0.8, 0.6)])
    assert json.loads(json.dumps(verdict.as_dict()))["patients"] == 1


@pytest.mark.parametrize(("objecting", "judges"), [(1, 1), (2, 5), (2.9, 10), (3, 10), (0, 0), (6, 40)])
def test_chance_is_the_upper_tail_of_the_binomial(objecting, judges):
    from math import comb

    least = int(objecting)
    expected = sum(comb(judges, k) * 0.05**k * 0.95 ** (judges - k) for k in range(least, judges + 1))
    assert chance(objecting, judges) == pytest.approx(expected)
