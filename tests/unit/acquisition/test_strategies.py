"""The contract of every strategy, and what each adds to it."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sequal.acquisition import ACQUISITION_FUNCTIONS, STRATEGIES, Pool, ScoredStrategy

SCORED = [*ACQUISITION_FUNCTIONS, "bald"]
IN_FEATURE_SPACE = ["coreset", "badge"]
IMAGES = st.lists(st.text("abc/._1", min_size=1, max_size=4), unique=True, max_size=12)
VECTORS = st.lists(st.sampled_from([0.0, 1.0, -2.5, math.nan]), min_size=2, max_size=2)
SCORES = st.one_of(st.floats(0, 1), st.sampled_from([0.5, math.nan, math.inf, -math.inf]))


def pool_of(unlabelled, scores=None, labelled=(), validation=(), features=None):
    """A pool in which every image is its own patient, with the same scores and features of every kind."""
    by_image = scores or {}
    return Pool(
        unlabelled=tuple(sorted(unlabelled)),
        labelled=tuple(sorted(labelled)),
        patients={image: image for image in (*unlabelled, *labelled)},
        scores=lambda acquisition: by_image,
        validation_patients=frozenset(validation),
        features=lambda kind: features or {},
    )


def ids(queries):
    return [query.id for query in queries]


@st.composite
def pools(draw):
    images = draw(IMAGES)
    cut = draw(st.integers(0, len(images)))
    scores = {image: draw(SCORES) for image in images if draw(st.booleans())}
    validation = [image for image in images if draw(st.booleans())]
    features = {image: np.float32(draw(VECTORS)) for image in images if draw(st.booleans())}
    return pool_of(images[cut:], scores, images[:cut], validation, features)


@pytest.mark.parametrize("name", STRATEGIES)
class TestContract:
    def test_name(self, name):
        assert STRATEGIES[name].name == name

    def test_empty_pool(self, name):
        assert STRATEGIES[name].rank(pool_of([]), np.random.default_rng(0)) == []

    @settings(max_examples=40, deadline=None)
    @given(pool=pools(), seed=st.integers(0, 2**32 - 1))
    def test_ranks_each_unlabelled_image_once(self, name, pool, seed):
        queries = STRATEGIES[name].rank(pool, np.random.default_rng(seed))
        assert sorted(ids(queries)) == list(pool.unlabelled)
        assert all(query.reason for query in queries)
        assert all(query.score is None or math.isfinite(query.score) for query in queries)

    @settings(max_examples=20, deadline=None)
    @given(pool=pools(), seed=st.integers(0, 2**32 - 1))
    def test_same_seed_same_ranking(self, name, pool, seed):
        first, second = (STRATEGIES[name].rank(pool, np.random.default_rng(seed)) for _ in range(2))
        assert first == second

    @settings(max_examples=20, deadline=None)
    @given(pool=pools(), seed=st.integers(0, 2**32 - 1))
    def test_validation_patients_come_last(self, name, pool, seed):
        queries = STRATEGIES[name].rank(pool, np.random.default_rng(seed))
        in_validation = [query.id in pool.validation_patients for query in queries]
        assert in_validation == sorted(in_validation)
        assert all(
            ("validation" in query.reason) == frozen for query, frozen in zip(queries, in_validation, strict=True)
        )

    def test_ties_depend_on_the_seed(self, name):
        images = [f"i{number}" for number in range(8)]
        pool = pool_of(images, dict.fromkeys(images, 0.5), features=dict.fromkeys(images, np.ones(2, np.float32)))
        orders = {tuple(ids(STRATEGIES[name].rank(pool, np.random.default_rng(seed)))) for seed in range(10)}
        assert len(orders) > 5

    def test_order_of_the_pool_does_not_matter(self, name):
        images = tuple(f"i{number}" for number in range(8))
        vectors = dict(zip(images, np.random.default_rng(0).normal(size=(8, 3)).astype(np.float32), strict=True))
        forward, backward = (
            Pool(order, (), {}, lambda _: dict.fromkeys(images, 0.5), frozenset(), lambda _: vectors)
            for order in (images, images[::-1])
        )
        ranked = [ids(STRATEGIES[name].rank(pool, np.random.default_rng(3))) for pool in (forward, backward)]
        assert ranked[0] == ranked[1]

    def test_without_scores_and_features_the_order_is_random_and_says_so(self, name):
        images = [f"i{number}" for number in range(6)]
        rankings = [STRATEGIES[name].rank(pool_of(images), np.random.default_rng(seed)) for seed in range(10)]
        assert len({tuple(ids(ranking)) for ranking in rankings}) > 5
        assert all("random order" in query.reason and query.score is None for ranking in rankings for query in ranking)

    def test_an_image_that_was_labelled_meanwhile_is_not_asked_for(self, name):
        pool = pool_of(["a", "b"], {"a": 1.0, "b": 0.5}, labelled=["a"])
        assert ids(STRATEGIES[name].rank(pool, np.random.default_rng(0))) == ["b"]


@pytest.mark.parametrize("name", SCORED)
class TestScored:
    def test_highest_score_first_then_unscored_then_validation(self, name):
        scores = {"low": 0.1, "high": 0.9, "frozen": 1.0, "failed": math.nan}
        pool = pool_of(["low", "high", "frozen", "failed", "new"], scores, validation=["frozen"])
        queries = STRATEGIES[name].rank(pool, np.random.default_rng(0))
        assert ids(queries)[:2] == ["high", "low"]
        assert set(ids(queries)[2:4]) == {"failed", "new"}
        assert ids(queries)[4] == "frozen"
        assert [query.score for query in queries] == [0.9, 0.1, None, None, 1.0]
        assert queries[0].reason == f"{name} 0.9, rank 1 of 5 unlabelled images"
        assert all("no" in query.reason and "score yet" in query.reason for query in queries[2:4])

    def test_cold_start_says_so(self, name):
        queries = STRATEGIES[name].rank(pool_of(["a", "b"]), np.random.default_rng(0))
        assert all("cold start" in query.reason and query.score is None for query in queries)

    def test_reads_the_scores_of_its_own_function(self, name):
        asked = []
        pool = Pool(("a",), (), {}, lambda acquisition: asked.append(acquisition) or {"a": 1.0})
        STRATEGIES[name].rank(pool, np.random.default_rng(0))
        assert asked == [name]


@pytest.mark.parametrize("name", IN_FEATURE_SPACE)
class TestInFeatureSpace:
    def test_with_features_first_then_without_then_validation(self, name):
        vectors = {image: np.float32(at) for image, at in {"far": [4, 0], "near": [1, 0], "frozen": [9, 9]}.items()}
        vectors["damaged"] = np.float32([np.nan, 0])
        pool = pool_of([*vectors, "new"], validation=["frozen"], features=vectors)
        queries = STRATEGIES[name].rank(pool, np.random.default_rng(0))
        assert set(ids(queries)[:2]) == {"far", "near"}
        assert set(ids(queries)[2:4]) == {"damaged", "new"}
        assert ids(queries)[4] == "frozen"
        assert [query.score is None for query in queries] == [False, False, True, True, True]
        assert queries[1].reason.startswith(f"{name}: ")
        assert queries[1].reason.endswith("rank 2 of 2")
        assert all(query.reason.startswith("no features yet") for query in queries[2:4])

    def test_cold_start_says_how_to_get_features(self, name):
        queries = STRATEGIES[name].rank(pool_of(["a", "b"]), np.random.default_rng(0))
        assert all("cold start" in query.reason for query in queries)
        assert all('{"acquisitions": "features"}' in query.reason for query in queries)
        assert all(f"--conf strategy {name}" in query.reason for query in queries)

    def test_reads_its_own_kind_of_features_and_no_score(self, name):
        asked = []
        pool = Pool(("a",), (), {}, pytest.fail, features=lambda kind: asked.append(kind) or {})
        STRATEGIES[name].rank(pool, np.random.default_rng(0))
        assert asked == [{"coreset": "bottleneck", "badge": "gradient"}[name]]


def test_a_large_pool_is_ranked_whole_without_a_matrix_of_all_pairs():
    """2,500 images, so that the distances come in several blocks."""
    rng = np.random.default_rng(0)
    images = [f"i{number:04d}" for number in range(2500)]
    vectors = dict(zip(images, rng.normal(size=(2500, 4)).astype(np.float32), strict=True))
    pool = pool_of(images[1200:], dict.fromkeys(images, 0.5), images[:1200], features=vectors)
    for name in ("coreset", "badge", "pld_diverse"):
        queries = STRATEGIES[name].rank(pool, rng)
        assert sorted(ids(queries)) == images[1200:]


def test_random_ignores_scores():
    pool = pool_of(["a", "b", "c"], {"a": 3.0, "b": 2.0, "c": 1.0})
    firsts = {STRATEGIES["random"].rank(pool, np.random.default_rng(seed))[0].id for seed in range(30)}
    assert firsts == {"a", "b", "c"}


def test_a_strategy_for_another_function_is_one_line():
    queries = ScoredStrategy("bald").rank(pool_of(["a", "b"], {"a": 0.2, "b": 0.4}), np.random.default_rng(0))
    assert ids(queries) == ["b", "a"]
    assert queries[0].reason.startswith("bald 0.4")
