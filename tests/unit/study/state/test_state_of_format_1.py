"""A state and a checkpoint that the app wrote before there was a choice of methods are still of use."""

import hashlib
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from sequal.files.imaging import read_frame
from sequal.learning.training import TrainStats, run_round
from sequal.learning.training.labels_in_use import LabelsInUse
from sequal.prediction import PREDICTED_DICE, load_pair, predict_image, score_items, unscored_items
from sequal.preparation.working_frames import WorkingFrames
from sequal.settings import Settings
from sequal.study.items import Item
from sequal.study.state import (
    STARTING,
    SkipRecord,
    Split,
    StudyModels,
    StudyState,
    file_digest,
)
from unit.synthetic_study import settings

DATA = Path(__file__).resolve().parents[4] / "sample-data"
KEPT = Path(__file__).with_name("state_of_format_1")
#: The starting weights of that time.
WEIGHTS = KEPT / "published.pt"
CPU = torch.device("cpu")
#: SHA-256 of the mask of `p01_f2` that the code of the state gave.
MASK = "a2f456270b318717d5708b7a3ae53a139906cef2b278f4989a0bdfc0d9896958"
#: When the lease and the skip of the state were made.
NOW = 1_800_000_000.0
CHOSEN = settings(trigger="never", learning_rate=1e-5, rehearsal=0, validation_fraction=0.25)


def _item(name, *, labelled):
    label = DATA / "labels" / "final" / f"{name}.nii.gz" if labelled else None
    return Item(name, DATA / f"{name}.nii.gz", label, patient=name[:3])


def _content(checkpoint):
    return torch.load(checkpoint, map_location="cpu", weights_only=True)


LABELLED = [_item(name, labelled=True) for name in ("p01_f1", "p03_f1", "p07_f1")]
POOL = [_item(name, labelled=False) for name in ("p01_f2", "p01_f3", "p03_f2")]
POOL_IDS = {item.id for item in POOL}


@pytest.fixture
def state(tmp_path):
    shutil.copytree(KEPT, tmp_path / "state")
    opened = StudyState.open(tmp_path / "state", CHOSEN)
    yield opened
    opened.ledger.close()


def test_the_weights_that_these_tests_take_are_of_format_1():
    assert _content(WEIGHTS)["format"] == 1


def test_a_checkpoint_gives_the_mask_that_it_gave():
    loaded = load_pair(WEIGHTS, CPU)
    assert (loaded.model, loaded.pair.method) == ("carotid", "sequal")
    mask = predict_image(read_frame(DATA / "p01_f2.nii.gz"), loaded, Settings(device="cpu"), CPU).mask
    assert (mask.shape, int(mask.sum())) == ((307, 241, 1), 1531)
    assert hashlib.sha256(mask.tobytes()).hexdigest() == MASK


def test_rounds_and_the_split_are_read(state):
    (record,) = state.ledger.rounds()
    assert (record.round, record.status) == (1, "published")
    assert (record.train_ids, record.validation_ids, record.unlabelled_count) == (["p01_f1", "p03_f1"], ["p07_f1"], 3)
    assert record.settings["network"] == "unet"
    assert record.metrics["judged"]["frames"] == 3
    assert Split.load(state.split_file) == Split(frozenset({"p07_f1"}), frozenset({"p07"}))
    stats = TrainStats.read(state.root / "train_stats.json")
    assert (stats["round"], stats["published"], stats["refinement"]["images"]) == (1, True, 2)
    assert StudyModels(state, WEIGHTS).in_service().round == STARTING


def test_scores_are_read_and_are_those_of_today(state):
    (record,) = state.ledger.rounds()
    of_round = state.ledger.scores(record.checkpoint_digest, "pld")
    assert of_round.keys() == POOL_IDS
    assert np.mean(list(of_round.values())) == pytest.approx(record.metrics["pld"]["mean"])
    loaded = load_pair(state.published, CPU)
    assert unscored_items(POOL, loaded.digest, state.ledger) == []
    today = score_items(POOL[:1], loaded, WorkingFrames(CHOSEN), CHOSEN, CPU, lambda *_: None)["p01_f2"]
    assert "sqa" not in today  # these networks have no error branch
    assert 0 <= today.pop(PREDICTED_DICE) <= 1  # no ledger of that time has it
    assert len(today) >= 5
    kept = {name: state.ledger.scores(loaded.digest, name)["p01_f2"] for name in today}
    assert kept == pytest.approx(today, rel=1e-3, abs=1e-6)


def test_leases_and_skips_are_read(state):
    assert state.ledger.lease_terms(NOW + 60) == {"p01_f2": ("anna", NOW + 1800)}
    assert state.ledger.skips() == [SkipRecord("p01_f3", "ben", "no wall in sight", NOW)]


def test_refined_labels_are_in_use_with_where_they_came_from(state):
    assert state.refined.image_ids() == ["p01_f1", "p03_f1"]
    labels = LabelsInUse(WorkingFrames(CHOSEN), state.refined, CHOSEN)
    for item, record in zip(LABELLED[:2], state.ledger.refined(), strict=True):
        provenance = state.refined.provenance(item.id)
        assert (provenance.round, provenance.fusion_lambda) == (1, 0.8)
        assert provenance.label_digest == file_digest(item.label) == record.label_digest
        assert (record.image, record.checkpoint_digest) == (item.id, provenance.checkpoint_digest)
        changed = (labels.current(item) != labels.expert(item)).mean()
        assert changed == pytest.approx(provenance.fraction_changed)
        assert changed > 0.1


def test_the_next_round_goes_on_from_it(state):
    (first,) = state.ledger.rounds()
    refined = {path.name: path.read_bytes() for path in (state.root / "refined").iterdir()}
    before = _content(WEIGHTS)["meta"]["iterations"]
    report = run_round(LABELLED, POOL, state, CHOSEN, starting_weights=WEIGHTS)
    assert (report.round, report.published, report.left_out) == (2, True, {})
    assert report.published_metric == pytest.approx(first.metrics["published_metric"], abs=1e-4)
    written = _content(state.published)
    assert written["format"] == 2
    assert written["meta"]["iterations"] == before + CHOSEN.epochs * CHOSEN.iterations_per_epoch
    old, second = state.ledger.rounds()
    assert old == first
    assert (second.train_ids, second.validation_ids) == (first.train_ids, first.validation_ids)
    assert second.checkpoint_digest == report.digest == file_digest(state.published)
    assert state.ledger.scores(report.digest, "pld").keys() == POOL_IDS
    assert {path.name: path.read_bytes() for path in (state.root / "refined").iterdir()} == refined
    assert json.loads(state.split_file.read_bytes()) == json.loads((KEPT / "split.json").read_bytes())
