import math

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from sequal.acquisition import PldDiverseStrategy, Pool
from sequal.acquisition.strategies.pld_diverse import passes_by_patient, spread


def rank(scores, patients=None, labelled=(), features=None, seed=0, validation=(), **options):
    pool = Pool(
        tuple(sorted(scores)),
        tuple(labelled),
        patients or {},
        lambda name: {image: value for image, value in scores.items() if value is not None},
        frozenset(validation),
        lambda kind: {image: np.float32(at) for image, at in (features or {}).items()},
    )
    return PldDiverseStrategy(**options).rank(pool, np.random.default_rng(seed))


def ids(queries):
    return [query.id for query in queries]


def test_patients_take_turns_worked_by_hand():
    """Patient a holds the three highest scores, b has one label, c none.

    First pass, no labels yet: a's best 0.9, c's best 0.3; then b's best 0.8. Second pass: a's next 0.85, c's next
    0.2, b's next 0.7. Third: a's last.
    """
    scores = {"a1": 0.9, "a2": 0.85, "a3": 0.84, "b1": 0.8, "b2": 0.7, "c1": 0.3, "c2": 0.2}
    patients = {image: image[0] for image in (*scores, "b0")}
    queries = rank(scores, patients, labelled=["b0"])
    assert ids(queries) == ["a1", "c1", "b1", "a2", "c2", "b2", "a3"]
    assert [query.score for query in queries] == [scores[image] for image in ids(queries)]
    assert queries[5].reason == (
        "pld 0.7, rank 6 of 7 after diversity: image 2 of its patient in turn, who has 1 labelled"
    )


def test_without_patients_and_features_it_is_pld():
    scores = {f"i{number}": value for number, value in enumerate(np.random.default_rng(0).random(20))}
    assert ids(rank(scores)) == sorted(scores, key=lambda image: -scores[image])


def test_passes_hold_every_image_once():
    images = [f"i{number}" for number in range(30)]
    patients = {image: f"p{number % 7}" for number, image in enumerate(images)}
    groups = list(passes_by_patient(images, patients, images[:3]))
    assert sorted(image for group in groups for image in group) == sorted(images)
    for group in groups:
        assert len({patients[image] for image in group}) == len(group)
        assert group == sorted(group, key=images.index)


def test_spread_worked_by_hand():
    """A label at 0 and images at 4, 3.9, 8 and -1, by falling score; m = 4, so r = 1, 3/4, 1/2, 1/4.

    r · d: 4, 2.925, 4, 0.25: the tie goes to the higher score, 4. Then r = 1, 2/3, 1/3 over 3.9, 8, -1 with
    d = 0.1, 4, 1: 0.1, 2.667, 0.333, so 8. Then r = 1, 1/2 with d = 0.1, 1: so -1, and 3.9 is left.
    """
    vectors = {name: np.float32([at]) for name, at in {"a": 4.0, "b": 3.9, "c": 8.0, "d": -1.0}.items()}
    assert spread(list("abcd"), vectors, np.array([[0.0]]), window=4, steps=4) == ["a", "c", "d", "b"]
    assert spread(list("abcd"), vectors, np.array([[0.0]]), window=4, steps=1) == ["a", "b", "c", "d"]
    assert spread(list("abcd"), vectors, np.array([[0.0]]), window=1, steps=4) == ["a", "b", "c", "d"]


def _slow(group, vectors, centres, window, steps):
    left, order, held = list(group), [], [list(centre) for centre in centres]
    while left and len(order) < steps:
        here = left[:window]
        far = {i: cdist([vectors[i]], held).min() if held else 1.0 for i in here if i in vectors}
        mean = np.mean(list(far.values())) if far else 1.0
        gains = [(1 - place / len(here)) * far.get(image, mean) for place, image in enumerate(here)]
        best = max(range(len(here)), key=lambda place: (gains[place], -place))
        order.append(left.pop(best))
        if order[-1] in vectors:
            held.append(list(vectors[order[-1]]))
    return order + left


@pytest.mark.parametrize("seed", range(6))
def test_spread_against_a_plain_loop(seed):
    rng = np.random.default_rng(seed)
    images = [f"i{number}" for number in range(40)]
    vectors = {image: rng.normal(size=3).astype(np.float32) for image in images if rng.random() < 0.9}
    centres = rng.normal(size=(int(rng.integers(0, 4)), 3))
    window, steps = int(rng.integers(1, 20)), int(rng.integers(0, 50))
    assert spread(images, vectors, centres, window, steps) == _slow(images, vectors, centres, window, steps)


def test_a_copy_of_the_first_choice_waits():
    scores = {"best": 0.9, "copy": 0.89, "other": 0.5}
    features = {"best": [1.0, 0.0], "copy": [1.0, 0.0], "other": [0.0, 1.0], "label": [5.0, 5.0]}
    assert ids(rank(scores, labelled=["label"], features=features)) == ["best", "other", "copy"]
    assert ids(rank(scores, labelled=["label"], features=features, steps=1)) == ["best", "copy", "other"]


def test_what_was_chosen_in_one_pass_counts_in_the_next():
    """Second images of p, q and r: q's is a copy of p's first image, so it is asked for after the others."""
    scores = {"p1": 0.9, "q1": 0.8, "r1": 0.7, "q2": 0.6, "p2": 0.5, "r2": 0.4}
    features = {"p1": [0.0], "q1": [10.0], "r1": [20.0], "q2": [0.0], "p2": [100.0], "r2": [200.0]}
    queries = rank(scores, {image: image[0] for image in scores}, features=features)
    assert set(ids(queries)[:3]) == {"p1", "q1", "r1"}
    assert ids(queries)[5] == "q2"


def test_the_window_keeps_low_scores_out():
    """30 images; with a window of 2 the outlier in feature space at the end of the scores is not asked for early."""
    scores = {f"i{number:02d}": 1 - number / 100 for number in range(30)}
    features = {image: [float(number)] for number, image in enumerate(scores)} | {"i29": [1e6]}
    near = ids(rank(scores, features=features, fraction=0.05, at_least=1))
    wide = ids(rank(scores, features=features, fraction=1.0))
    assert near.index("i29") > 20
    assert wide.index("i29") == 1


def test_unscored_and_validation_images_come_last():
    scores = {"low": 0.1, "high": 0.9, "frozen": 1.0, "failed": math.nan, "new": None}
    queries = rank(scores, validation=["frozen"], features={"low": [0.0], "new": [3.0]})
    assert ids(queries)[:2] == ["high", "low"]
    assert set(ids(queries)[2:4]) == {"failed", "new"}
    assert ids(queries)[4] == "frozen"
    assert all(query.reason.startswith("no pld score yet") for query in queries[2:4])


def test_cold_start():
    queries = rank({"a": None, "b": None}, features={"a": [0.0], "b": [1.0]})
    assert all("cold start" in query.reason and query.score is None for query in queries)
