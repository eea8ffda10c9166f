import copy
import json
import threading
from dataclasses import replace

import nibabel as nib
import numpy as np
import pytest
import torch

from sequal.acquisition import SQA, STRATEGIES, Pool
from sequal.errors import CheckpointError
from sequal.files.imaging import read_frame
from sequal.learning.methods.cross import CrossPair
from sequal.learning.methods.sequal import MeanTeacherPair
from sequal.learning.networks import Architecture
from sequal.learning.quality.branched import new_branch
from sequal.prediction import (
    PREDICTED_DICE,
    checkpoint_payload,
    dice_to_expect,
    expected_dice,
    load_pair,
    predict_image,
    score_items,
    score_pool,
)
from sequal.prediction.label_check import check_label
from sequal.prediction.quality import mask_quality
from sequal.preparation.working_frames import WorkingFrames
from sequal.preparation.working_grid import frame_to_working
from sequal.study.items import Item
from sequal.study.state import StudyState, load_checkpoint, save_checkpoint
from unit.synthetic_study import band, settings, write_image, write_label

CPU = torch.device("cpu")


def _branched_pair(pair):
    pair.branch = new_branch(pair, 0)
    with torch.no_grad():
        pair.branch.correct.bias.fill_(-1.0)
        pair.branch.correct.weight.normal_(std=0.1)
    return pair


@pytest.fixture(params=["sequal", "cross"])
def both(request, tmp_path):
    """The same weights with and without a branch."""
    torch.manual_seed(5)
    unet = Architecture("unet", filters=4)
    pair = MeanTeacherPair(unet) if request.param == "sequal" else CrossPair(unet, replace(unet, name="basic_unet"))
    save_checkpoint(tmp_path / "plain.pt", checkpoint_payload(pair, {}))
    save_checkpoint(tmp_path / "branched.pt", checkpoint_payload(_branched_pair(pair), {}))
    return [load_pair(tmp_path / name, CPU) for name in ("plain.pt", "branched.pt")]


def test_a_branch_changes_no_mask_and_no_score(tmp_path, both):
    image = write_image(tmp_path / "i.nii.gz", band(np.random.default_rng(0), frames=2)[0])
    plain, branched = (predict_image(read_frame(image), loaded, settings(), CPU) for loaded in both)
    assert plain.quality is None
    assert np.array_equal(plain.probability, branched.probability)
    assert (plain.pld, plain.confidence) == (branched.pld, branched.confidence)
    assert branched.quality.error.shape == branched.mask.shape
    assert branched.quality.error.dtype == np.float32
    assert 0 <= branched.quality.error.min() < branched.quality.error.max() <= 1
    assert 0 < branched.quality.predicted_dice < 1


def test_an_untrained_branch_expects_what_the_probabilities_promise(tmp_path, loaded):
    pair = load_pair(_saved(tmp_path, loaded.pair), CPU)
    image = write_image(tmp_path / "i.nii.gz", band(np.random.default_rng(0))[0], (0.12, 0.06))
    found = predict_image(read_frame(image), pair, settings(min_piece_mm=0), CPU)
    assert found.mask.any()
    assert found.quality.predicted_dice == pytest.approx(expected_dice(found.probability), abs=1e-3)


def _saved(folder, pair):
    pair.branch = new_branch(pair, 0)
    save_checkpoint(folder / "untrained.pt", checkpoint_payload(pair, {}))
    pair.branch = None
    return folder / "untrained.pt"


def test_what_was_taken_from_a_mask_is_expected_to_be_right_without_it(tmp_path, both):
    _, loaded = both
    image = read_frame(write_image(tmp_path / "i.nii.gz", band(np.random.default_rng(0))[0]))
    working = frame_to_working(image, settings())
    looked = loaded.look(working.pixels, working.grid, CPU)
    raw = np.zeros(image.pixels.shape, np.uint8)
    shown = raw.copy()
    raw[:4] = 1
    kept, taken = (mask_quality(looked, loaded, working.grid, raw, mask).error for mask in (raw, shown))
    assert np.allclose(taken[:4], 1 - kept[:4])
    assert np.array_equal(taken[4:], kept[4:])


def test_a_volume_in_windows(tmp_path):
    torch.manual_seed(0)
    changes = {"models": "volume", "labels": "one,two", "volume_spacing": "1,1,1", "volume_patch": "32,32,32"}
    values = settings(**changes)
    pair = MeanTeacherPair(Architecture("unet", spatial_dims=3, classes=3, filters=2))
    path = tmp_path / "v.pt"
    save_checkpoint(path, checkpoint_payload(pair, {}, "volume"))
    plain = load_pair(path, CPU)
    save_checkpoint(path, checkpoint_payload(_branched_pair(pair), {}, "volume"))
    branched = load_pair(path, CPU)
    voxels = np.random.default_rng(0).normal(100, 30, (40, 32, 20)).astype(np.float32)
    nib.save(nib.Nifti1Image(voxels, np.diag([1.0, 1.0, 1.5, 1.0])), tmp_path / "v.nii.gz")
    frame = read_frame(tmp_path / "v.nii.gz")
    without, found = (predict_image(frame, loaded, values, CPU) for loaded in (plain, branched))
    assert without.quality is None
    assert np.array_equal(without.mask, found.mask)
    assert without.pld == found.pld
    assert found.quality.error.shape == voxels.shape
    assert 0 < found.quality.predicted_dice < 1
    # In volumes the branch tells the Dice to expect of any mask: annotators, the ledger and the check of a label.
    assert (without.predicted_dice, found.predicted_dice) == (without.confidence, found.quality.predicted_dice)
    state = StudyState.open(tmp_path / "state", values)
    label = write_label(tmp_path / "label.nii.gz", np.ones(voxels.shape))
    item = Item("v", tmp_path / "v.nii.gz", label)
    for loaded, told in ((plain, without.confidence), (branched, found.quality.predicted_dice)):
        score_pool([item], loaded, state.ledger, values, CPU)
        assert state.ledger.scores(loaded.digest, PREDICTED_DICE)["v"] == pytest.approx(told, abs=0.02)
        assert check_label(item, loaded, values, CPU).predicted_dice == told


def test_the_pool_is_scored_by_it_and_asked_for_lowest_first(tmp_path, both):
    rng = np.random.default_rng(0)
    items = [Item(f"i{n}", write_image(tmp_path / f"i{n}.nii.gz", band(rng, top=10 + 8 * n)[0])) for n in range(4)]
    state = StudyState.open(tmp_path / "state", settings())
    for loaded in both:
        score_pool(items, loaded, state.ledger, settings(), CPU, acquisitions={SQA})
    plain, branched = (state.ledger.scores(loaded.digest, PREDICTED_DICE) for loaded in both)
    for item in items:
        told = predict_image(read_frame(item.image), both[0], settings(), CPU)
        assert told.mask.any()
        assert plain[item.id] == branched[item.id] == pytest.approx(told.predicted_dice, abs=1e-4)
    ids = [item.id for item in items]
    first, second = (
        STRATEGIES["sqa"].rank(Pool(ids, [], {}, lambda name, d=loaded.digest: state.ledger.scores(d, name)), rng)
        for loaded in both
    )
    assert {query.reason for query in first} == {
        "the model in service has no error branch, so sqa cannot tell images apart: random order"
    }
    assert [query.id for query in second] == sorted(ids, key=state.ledger.scores(both[1].digest, "sqa").get)[::-1]
    json.dumps([query.score for query in second])


def test_of_an_empty_mask_the_branch_says_which_dice_to_expect(tmp_path, loaded):
    """A pair that finds both classes equally probable everywhere, and shows the background."""
    undecided = copy.deepcopy(loaded.pair)
    for network in undecided.members.values():
        for tensor in network.parameters():
            tensor.data.zero_()
    pair = load_pair(_saved(tmp_path, undecided), CPU)
    item = Item("i", write_image(tmp_path / "i.nii.gz", band(np.random.default_rng(0))[0]))
    found = predict_image(read_frame(item.image), pair, settings(), CPU)
    assert not found.mask.any()
    assert found.confidence is None
    assert dice_to_expect(found.confidence, found.quality) == found.quality.predicted_dice == pytest.approx(0.5)
    scores = score_items([item], pair, WorkingFrames(settings(), cache_bytes=0), settings(), CPU, lambda *_: None)
    assert scores["i"][PREDICTED_DICE] == pytest.approx(0.5)
    assert dice_to_expect(None, None) is None
    assert dice_to_expect(0.75, found.quality) == 0.75


def test_the_pool_is_scored_without_a_map_of_the_errors_of_each_mask(tmp_path, both, monkeypatch):
    monkeypatch.setattr("sequal.prediction.prediction.mask_quality", None)
    item = Item("i", write_image(tmp_path / "i.nii.gz", band(np.random.default_rng(0))[0]))
    frames = WorkingFrames(settings(), cache_bytes=0)
    scores = score_items([item], both[1], frames, settings(), CPU, lambda *_: None, acquisitions={SQA})["i"]
    assert 0 < scores[PREDICTED_DICE] < 1
    assert 0 < scores[SQA] < 1


def test_two_threads_use_one_network(tmp_path, both):
    _, loaded = both
    rng = np.random.default_rng(0)
    sizes = [(96, 64), (64, 96), (128, 64), (96, 96)]
    frames = [
        read_frame(write_image(tmp_path / f"{n}.nii.gz", band(rng, size, top=20)[0])) for n, size in enumerate(sizes)
    ]
    alone = [predict_image(frame, loaded, settings(), CPU).quality.predicted_dice for frame in frames]
    found = {}

    def work(n):
        for _ in range(3):
            found[n] = predict_image(frames[n], loaded, settings(), CPU).quality.predicted_dice

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [found[n] for n in range(4)] == pytest.approx(alone, rel=1e-5)


def test_a_checkpoint_with_a_strange_branch_is_refused(tmp_path, both):
    _, loaded = both
    payload = checkpoint_payload(loaded.pair, {})
    damaged = {**payload, "branch": {"architecture": payload["branch"]["architecture"], "weights": {}}}
    save_checkpoint(tmp_path / "d.pt", damaged)
    with pytest.raises(CheckpointError, match="to fit the architecture"):
        load_pair(tmp_path / "d.pt", CPU)
    with pytest.raises(CheckpointError, match=r"branch of .* to have an architecture and weights"):
        save_checkpoint(tmp_path / "e.pt", {**payload, "branch": "yes"})
    assert load_checkpoint(tmp_path / "plain.pt").branch is None
