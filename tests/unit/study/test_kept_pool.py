"""The pool that a server keeps asks for the same images as the pool that is sorted whole."""

import json
import math

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sequal.acquisition import STRATEGIES
from sequal.settings import Settings
from sequal.study.kept_pool import kept_pool
from sequal.study.pool import study_pool
from sequal.study.pool_index import PoolIndex
from sequal.study.state import PatientNames, StudyState

WALKED = ["pld", "random", "bald"]
IMAGES = [f"{patient}{number}" for patient in "abcd" for number in range(4)]
PATTERN = r"^(?P<patient>[a-d])"


@pytest.fixture(scope="module")
def state(tmp_path_factory):
    return StudyState.open(tmp_path_factory.mktemp("state"), Settings())


def both_pools(state, digest, unlabelled, labelled):
    index = PoolIndex()
    index.fill([*((image, ()) for image in unlabelled), *((image, ("final",)) for image in labelled)])
    patients = PatientNames(None, PATTERN, index)
    kept = kept_pool(state, digest, index, patients, None, state.ledger.skipped())
    return kept, study_pool(state, digest, unlabelled, labelled, dict(patients))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    number=st.integers(0, 2**62),
    images=st.lists(st.sampled_from(IMAGES), unique=True),
    labels=st.integers(0, 5),
    scores=st.dictionaries(st.sampled_from(IMAGES), st.one_of(st.floats(0, 1), st.just(math.nan))),
    validation=st.frozensets(st.sampled_from("abcd")),
    skipped=st.frozensets(st.sampled_from(IMAGES), max_size=3),
)
def test_it_asks_as_the_sorted_pool_does(state, number, images, labels, scores, validation, skipped):
    digest = f"d{number}"
    state.ledger.put_scores(digest, {name: scores for name in WALKED})
    record = {"patients": sorted(validation), "images": [], "created": number}
    state.split_file.write_text(json.dumps(record))
    for skip in state.ledger.skips():
        state.ledger.take_back(skip.image)
    for image in skipped:
        state.ledger.skip(image, "anna", "")
    pools = both_pools(state, digest, images[labels:], images[:labels])
    for name in WALKED:
        kept, whole = (STRATEGIES[name].rank(pool, np.random.default_rng(number)) for pool in pools)
        assert sorted(query.id for query in kept) == sorted(set(images[labels:]) - skipped)
        assert [query.score for query in kept] == [query.score for query in whole]
        assert [query.reason for query in kept] == [query.reason for query in whole]
    assert [list(pool.unlabelled) for pool in pools] == [sorted(set(images[labels:]) - skipped)] * 2
    assert len(pools[0].unlabelled) == len(set(images[labels:]) - skipped)


def test_equal_scores_come_in_an_order_of_the_seed(state):
    state.split_file.unlink(missing_ok=True)
    state.ledger.put_scores("equal", {"pld": dict.fromkeys(IMAGES, 0.5)})
    kept, _ = both_pools(state, "equal", IMAGES, [])
    orders = {
        tuple(query.id for query in STRATEGIES["pld"].rank(kept, np.random.default_rng(seed))) for seed in range(10)
    }
    assert len(orders) > 5


def test_the_first_query_reads_few_scores_of_many(state, monkeypatch):
    images = [f"x{number:05d}" for number in range(20_000)]
    state.ledger.put_scores("many", {"pld": {image: number / 20_000 for number, image in enumerate(images)}})
    kept, _ = both_pools(state, "many", images, [])
    read = []
    part = type(state.ledger)._part
    monkeypatch.setattr(type(state.ledger), "_part", lambda *it: read.append(part(*it)) or read[-1])
    first = next(STRATEGIES["pld"].queries(kept, np.random.default_rng(0)))
    assert first.id == images[-1]
    assert sum(map(len, read)) <= 64


def test_the_order_comes_from_the_index(state):
    from sqlalchemy import text

    query = (
        "EXPLAIN QUERY PLAN SELECT image, score FROM scores WHERE study = 's' AND digest = 'd' AND acquisition = 'pld' "
        "AND score IS NOT NULL AND (score, image) < (0.5, 'x') ORDER BY score DESC, image DESC LIMIT 64"
    )
    plan = " ".join(str(row) for row in state.ledger._read(lambda connection: connection.execute(text(query)).all()))
    assert "COVERING INDEX scores_by_score" in plan
    assert "TEMP" not in plan.upper()
