import pytest

from sequal.acquisition import Pool
from sequal.prediction import PREDICTED_DICE
from sequal.settings import Settings
from sequal.study.state import LabelCheck, StudyState
from sequal.study.trust import snapshot, study_trust, trust_words

LABELLED = (*(f"a{number}" for number in range(30)), "none")


@pytest.fixture
def state(tmp_path):
    return StudyState.open(tmp_path / "state", Settings())


def check(image, digest="now", predicted=0.9, dice=0.8, sizes=(0.7, 0.6), at=1.0):
    named = [{"label": "wall", "unit": "mm", "predicted": sizes[0], "drawn": sizes[1]}]
    return LabelCheck(image, digest, predicted, dice, named, at)


def pool(scores, unlabelled=("u1", "u2", "u3")):
    patients = {image: image[0] for image in unlabelled}
    found = {PREDICTED_DICE: scores}
    return Pool(unlabelled=unlabelled, labelled=LABELLED, patients=patients, scores=lambda name: found.get(name, {}))


def test_a_check_is_kept_and_replaced_and_read_in_the_order_of_time(state):
    for one in (check("b", at=2.0), check("a", at=3.0), check("b", dice=0.5, at=4.0)):
        state.ledger.put_check(one)
    assert state.ledger.checks() == [check("a", at=3.0), check("b", dice=0.5, at=4.0)]
    state.ledger.put_scores("d", {"pld": {"a": 0.5, "b": float("nan")}})
    assert [state.ledger.score_of("d", "pld", image) for image in "abc"] == [0.5, None, None]


def test_means_ages_and_thickness_are_told(state):
    digests = ("old", "middle", "now", "now")
    for number, digest in enumerate(digests):
        sizes = (0.7 + 0.1 * number, 0.6 + 0.1 * number)
        state.ledger.put_check(check(f"a{number}", digest, 0.9, 0.7, sizes, at=float(number)))
    state.ledger.put_check(check("none", "now", None, 0.0, (None, None), at=9.0))
    found = study_trust(state, "now", pool({}))
    assert (found["checked"], found["predicted_dice"], found["dice"]) == (5, 0.9, pytest.approx(0.56))
    assert found["error"] == pytest.approx(0.2)
    assert found["thickness"]["bias"] == pytest.approx(0.1)
    assert [one["age"] for one in found["checks"]] == [2, 1, 0, 0, 0]
    assert [one["age"] for one in study_trust(state, "newer", pool({}))["checks"]] == [3, 2, 1, 1, 1]
    words = " ".join(trust_words(found))
    assert "4 labels could be compared with a mask, and 5 are needed" in words
    assert "5 labels were compared with the mask" in words
    assert "+0.100 mm" in words


def test_the_pool_is_counted_as_far_as_the_model_in_service_has_scored_it(state):
    for number in range(30):
        state.ledger.put_check(check(f"a{number}", dice=0.95, at=float(number)))
    unscored = study_trust(state, "now", pool({}))
    assert unscored["good"] is None
    assert "has not scored" in trust_words(unscored)[0]
    found = study_trust(state, "now", pool({"u1": 0.9, "u2": float("nan"), "u3": 0.9, "labelled": 0.9}))
    assert (found["unlabelled"], found["good"]["images"]) == (3, 2)
    assert found["good"]["high"] == 2
    assert "Of the 3 images still unlabelled, 2 have been scored; of these 2 are expected" in trust_words(found)[0]
    assert study_trust(state, "now", pool({}, ()))["why_not"] == "no image is unlabelled"


def test_a_new_study_has_nothing_to_tell_but_that(state):
    found = study_trust(state, None, pool({}))
    assert (found["checked"], found["dice"], found["thickness"], found["checks"]) == (0, None, None, [])
    assert trust_words(found) == [
        "How many masks are good cannot be said yet: 0 labels could be compared with a mask, and 5 are needed."
    ]


def test_a_label_that_was_removed_judges_no_mask(state):
    for image in ("a0", "u1", "a1"):
        state.ledger.put_check(check(image, dice=0.0 if image == "u1" else 0.8))
    found = study_trust(state, "now", pool({}))
    assert [one["image"] for one in found["checks"]] == ["a0", "a1"]
    assert (found["checked"], found["dice"]) == (2, pytest.approx(0.8))


def test_a_snapshot_says_the_same_and_what_comes_later_changes_nothing(state):
    for number in range(30):
        state.ledger.put_check(check(f"a{number}", dice=0.95, at=float(number)))
    unlabelled, scores = ["u1", "u2", "u3"], {"u1": 0.9, "u2": 0.8}
    live = pool(scores, unlabelled)
    taken, before = snapshot(live), study_trust(state, "now", live)
    unlabelled.remove("u1")
    scores["u3"] = 0.9
    assert study_trust(state, "now", live) != before
    assert study_trust(state, "now", taken) == before
