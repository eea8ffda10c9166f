import math

import numpy as np
import pytest
import torch

from sequal.acquisition import POWER, SCORES_OF_ANY, power_score
from sequal.files.imaging import read_frame
from sequal.prediction import PREDICTED_DICE, predict_image, score_items, score_pool, unscored_items
from sequal.preparation.working_frames import WorkingFrames
from sequal.study.items import Item
from sequal.study.state import StudyState
from unit.synthetic_study import band, settings, write_image

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def items(tmp_path_factory):
    """Two sizes, stills and clips, in an order that breaks and joins groups."""
    folder, rng = tmp_path_factory.mktemp("pool"), np.random.default_rng(0)
    shapes = [((96, 64), 1)] * 3 + [((96, 64), 3)] + [((64, 96), 1)] * 2 + [((96, 64), 9)] + [((96, 64), 1)] * 6
    return [
        Item(f"im{i:02d}", write_image(folder / f"im{i:02d}.nii.gz", band(rng, size, frames, top=10 + 2 * i)[0]))
        for i, (size, frames) in enumerate(shapes)
    ]


def _score(items, loaded, on_scored=lambda *_: None, **kwargs):
    frames = WorkingFrames(settings(), cache_bytes=0)
    return score_items(items, loaded, frames, settings(), CPU, on_scored, **kwargs)


def test_batches_give_the_numbers_of_one_by_one(items, loaded):
    together = _score(items, loaded)
    alone = {}
    for item in items:
        alone.update(_score([item], loaded))
    assert list(together) == [item.id for item in items]
    for image, scores in alone.items():
        assert scores.keys() == {*SCORES_OF_ANY, PREDICTED_DICE}
        assert together[image] == pytest.approx(scores, rel=1e-5, abs=1e-7, nan_ok=True)
    assert len({round(scores["pld"], 7) for scores in together.values()}) == len(items)


def test_the_dice_to_expect_of_a_mask_is_the_one_that_annotators_are_told(items, loaded):
    """On the image's own grid and after the clean-up; of a clip the lowest over its frames."""
    cleaned = settings(min_piece_mm=1.5)
    frames = WorkingFrames(cleaned, cache_bytes=0)
    scores = score_items(items, loaded, frames, cleaned, CPU, lambda *_: None)
    told = [predict_image(read_frame(item.image), loaded, cleaned, CPU).predicted_dice for item in items]
    assert [scores[item.id][PREDICTED_DICE] for item in items] == pytest.approx(
        [math.nan if dice is None else dice for dice in told], abs=1e-5, nan_ok=True
    )
    assert any(dice is not None for dice in told)


def test_neighbours_of_one_grid_share_a_pass_and_no_pass_is_large(items, loaded):
    batches = []
    handle = loaded.reference.register_forward_hook(lambda _m, inputs, _o: batches.append(len(inputs[0])))
    try:
        _score(items, loaded)
    finally:
        handle.remove()
    # 3 stills; the clip of 3 does not fit beside them; 2 of the other size; a clip of 9 in parts; 4 and 2 stills.
    assert batches == [3, 3, 2, 4, 4, 1, 4, 2]


def test_both_networks_see_the_data_once(items, loaded):
    calls = []
    networks = (loaded.reference, loaded.other)
    handles = [n.register_forward_hook(lambda m, *_: calls.append(m)) for n in networks]
    try:
        _score(items[:2], loaded)
    finally:
        for handle in handles:
            handle.remove()
    assert calls == list(networks)


def test_a_clip_scores_the_mean_of_its_frames(tmp_path, loaded):
    pixels = band(np.random.default_rng(0), frames=5)[0]
    clip = Item("clip", write_image(tmp_path / "clip.nii.gz", pixels))
    stills = [Item(f"f{f}", write_image(tmp_path / f"f{f}.nii.gz", pixels[:, :, f : f + 1])) for f in range(5)]
    mean = np.mean([scores["pld"] for scores in _score(stills, loaded).values()])
    assert _score([clip], loaded)["clip"]["pld"] == pytest.approx(mean, rel=1e-5)


def test_entropy_is_the_published_teachers_whatever_pld_compares(items, loaded, loaded_with_query_pair):
    plain = _score(items[:2], loaded)
    query = _score(items[:2], loaded_with_query_pair)
    for image in plain:
        for name in ("entropy", "margin", "least_confidence"):
            assert query[image][name] == pytest.approx(plain[image][name], rel=1e-6)
        assert query[image]["pld"] != pytest.approx(plain[image]["pld"], rel=1e-3)


def test_the_pool_goes_to_the_ledger(tmp_path, items, loaded):
    state = StudyState.open(tmp_path / "state", settings())
    (tmp_path / "bad.png").write_bytes(b"not an image")
    pool = [*items[:3], Item("bad", tmp_path / "bad.png"), *items[4:6]]
    assert unscored_items(pool, None, state.ledger) == []
    assert unscored_items(pool, loaded.digest, state.ledger) == pool
    seen = []
    found = score_pool(pool, loaded, state.ledger, settings(), CPU, seen.append)
    assert seen == ["im00", "im01", "im02", "im04", "im05"]
    assert found.unreadable.keys() == {"bad"}
    expected = _score([item for item in pool if item.id != "bad"], loaded)
    for image, scores in expected.items():
        scores[POWER] = power_score(scores["layer_entropy"], image, 0, loaded.digest)
        assert found.scores[image] == pytest.approx(scores, nan_ok=True)
    assert found.scores.keys() == expected.keys()
    for name in (*SCORES_OF_ANY, POWER, PREDICTED_DICE):
        stored = state.ledger.scores(loaded.digest, name)
        assert math.isnan(stored.pop("bad"))
        assert stored == pytest.approx({image: scores[name] for image, scores in expected.items()}, nan_ok=True)
    assert unscored_items(pool, loaded.digest, state.ledger) == []


def test_a_stopped_scoring_keeps_what_it_did(tmp_path, items, loaded):
    state = StudyState.open(tmp_path / "state", settings())

    def stop(image):
        if image == "im01":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        score_pool(items, loaded, state.ledger, settings(), CPU, stop)
    assert state.ledger.scores(loaded.digest, "pld").keys() == {"im00", "im01"}
    assert unscored_items(items, loaded.digest, state.ledger) == items[2:]


def test_only_the_images_asked_for_are_recorded(tmp_path, items, loaded):
    """The round's frames also know unreadable images that carry a label: those are not of the pool."""
    state = StudyState.open(tmp_path / "state", settings())
    (tmp_path / "bad.png").write_bytes(b"not an image")
    frames = WorkingFrames(settings())
    frames.get(Item("labelled-and-bad", tmp_path / "bad.png"))
    found = score_pool(items[:1], loaded, state.ledger, settings(), CPU, frames=frames)
    assert found.unreadable == {}
    assert state.ledger.scores(loaded.digest, "pld").keys() == {"im00"}


def test_an_empty_pool(tmp_path, loaded):
    state = StudyState.open(tmp_path / "state", settings())
    found = score_pool([], loaded, state.ledger, settings(), CPU)
    assert (found.scores, found.unreadable) == ({}, {})


def test_bald_is_computed_only_when_it_is_asked_for(tmp_path, items, loaded):
    plain = _score(items[:5], loaded)
    asked = _score(items[:5], loaded, acquisitions={"bald", "features"})
    for image, scores in asked.items():
        bald = scores.pop("bald")
        assert math.isfinite(bald)
        assert bald > 0
        assert scores == pytest.approx(plain[image], nan_ok=True)


def test_bald_does_not_depend_on_the_group_nor_on_the_order(items, loaded):
    together = _score(items[:4], loaded, acquisitions={"bald"})
    for item in reversed(items[:4]):
        alone = _score([item], loaded, acquisitions={"bald"})
        assert alone[item.id]["bald"] == pytest.approx(together[item.id]["bald"], rel=1e-5)


def test_bald_is_the_published_teachers(items, loaded, loaded_with_query_pair):
    plain = _score(items[:1], loaded, acquisitions={"bald"})["im00"]
    query = _score(items[:1], loaded_with_query_pair, acquisitions={"bald"})["im00"]
    assert query["bald"] == pytest.approx(plain["bald"], rel=1e-6)


def test_bald_goes_to_the_ledger_and_is_missed_only_by_those_who_want_it(tmp_path, items, loaded):
    state = StudyState.open(tmp_path / "state", settings())
    (tmp_path / "bad.png").write_bytes(b"not an image")
    pool = [*items[:2], Item("bad", tmp_path / "bad.png")]
    score_pool(pool, loaded, state.ledger, settings(), CPU)
    assert unscored_items(pool, loaded.digest, state.ledger) == []
    assert unscored_items(pool, loaded.digest, state.ledger, {"bald"}) == pool
    found = score_pool(pool, loaded, state.ledger, settings(), CPU, acquisitions={"bald"})
    stored = state.ledger.scores(loaded.digest, "bald")
    assert math.isnan(stored.pop("bad"))
    assert stored == {image: scores["bald"] for image, scores in found.scores.items()}
    assert unscored_items(pool, loaded.digest, state.ledger, {"bald"}) == []
