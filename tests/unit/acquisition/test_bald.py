import math

import numpy as np
import pytest
import scipy.stats
import torch

from sequal.acquisition import BaldStrategy, Pool, bald


def log_passes(*passes):
    """(K, 1, C, 1, 1) from one tuple of class probabilities a pass."""
    return torch.tensor(passes, dtype=torch.float64).log()[:, None, :, None, None]


def test_worked_by_hand():
    """(0.9, 0.1) and (0.5, 0.5): H(0.7, 0.3) − (H(0.9, 0.1) + ln 2) / 2."""
    of_mean = -0.7 * math.log(0.7) - 0.3 * math.log(0.3)
    mean_of = (-0.9 * math.log(0.9) - 0.1 * math.log(0.1) + math.log(2)) / 2
    assert bald(log_passes((0.9, 0.1), (0.5, 0.5))).item() == pytest.approx(of_mean - mean_of, rel=1e-12)


def test_agreement_is_worth_nothing_and_certain_disagreement_most():
    assert bald(log_passes((0.5, 0.5), (0.5, 0.5))).item() == 0
    assert bald(log_passes((1.0, 0.0), (0.0, 1.0))).item() == pytest.approx(math.log(2))


def test_against_scipy():
    generator = torch.Generator().manual_seed(0)
    log_p = (3 * torch.randn(6, 4, 3, 5, 7, generator=generator, dtype=torch.float64)).log_softmax(dim=2)
    p = log_p.exp().numpy()
    expected = scipy.stats.entropy(p.mean(axis=0), axis=1) - scipy.stats.entropy(p, axis=2).mean(axis=0)
    np.testing.assert_allclose(bald(log_p).numpy(), expected.mean(axis=(1, 2)), rtol=1e-12)
    assert (bald(log_p) >= 0).all()


def test_mask():
    log_p = torch.cat([log_passes((1.0, 0.0), (0.0, 1.0)), log_passes((0.5, 0.5), (0.5, 0.5))], dim=3)
    mask = torch.tensor([1, 0]).view(1, 1, 2, 1)
    assert bald(log_p, mask).item() == pytest.approx(math.log(2))
    assert bald(log_p, torch.zeros_like(mask)).isnan().all()


def rank(scores):
    return BaldStrategy().rank(Pool(("a", "b"), (), {}, lambda _: scores), np.random.default_rng(0))


def test_without_scores_the_reason_tells_how_to_get_them():
    for query in rank({}):
        assert query.reason.startswith("cold start: no image has a bald score yet")
        assert '{"acquisitions": "bald"}' in query.reason


def test_a_network_without_dropout_is_named():
    queries = rank({"a": math.nan, "b": math.nan})
    assert all("no dropout" in query.reason and "random order" in query.reason for query in queries)
    assert all(query.score is None for query in queries)


def test_one_unreadable_image_does_not_blame_the_network():
    queries = rank({"a": math.nan, "b": 0.3})
    assert [query.id for query in queries] == ["b", "a"]
    assert queries[1].reason.startswith("no bald score yet")
