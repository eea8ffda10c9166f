import errno
import hashlib
import json
import math
import os
import threading
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from sequal.acquisition import SCORES_OF_ANY, STRATEGIES
from sequal.errors import CheckpointError, PublishError, StudyError
from sequal.learning.methods.sequal import MeanTeacherPair
from sequal.learning.networks import Architecture, registry
from sequal.learning.training import round_seed, run_round
from sequal.learning.training.batches import TwoStreamBatches
from sequal.learning.training.gate import Verdict
from sequal.prediction import checkpoint_payload, load_pair, score_items, unscored_items
from sequal.preparation.working_frames import WorkingFrames
from sequal.study.items import Item
from sequal.study.pool import study_pool
from sequal.study.state import Split, StudyModels, file_digest, load_checkpoint, save_checkpoint
from unit.synthetic_study import make_study, settings, write_label

CPU = torch.device("cpu")
#: Fusion that changes labels whatever the untrained teacher says.
FUSION = {
    "fusion_lambda": 0.5,
    "fusion_min_foreground": 0.0,
    "fusion_min_agreement": 0.0,
    "fusion_scope": "all",
    "supervision": "full",
    "epochs": 3,
}


def _tiny_network():
    return nn.Sequential(nn.Conv2d(1, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 2, 3, padding=1))


@pytest.fixture
def tiny(monkeypatch):
    """A network of two layers under the name `unet`: the steps of a round are the same, only faster."""
    monkeypatch.setitem(registry._BUILDERS, "unet", lambda _: _tiny_network)


@pytest.fixture
def study(tmp_path, tiny):
    return make_study(tmp_path / "study")


@pytest.fixture
def fire(monkeypatch):
    """The trigger fires at the end of the second epoch."""
    monkeypatch.setattr("sequal.learning.training.early_learning.early_learning_over", lambda iou, _: len(iou) == 2)


def _run(study, chosen=settings(), **kwargs):  # noqa: B008
    return run_round(study.labelled, study.unlabelled, study.state, chosen, **kwargs)


def _bytes(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _validation(monkeypatch, value):
    """`value(t)` is the Dice of a pair after t updates on every label."""

    def look(self, moment, pair):
        for seen in self._seen.values():
            seen[moment] = value(pair.updates)

    monkeypatch.setattr("sequal.learning.training.judging.LabelJudges.look", look)


def test_the_first_round_publishes_and_scores(tmp_path):
    study = make_study(tmp_path / "study")
    labels = [_bytes(item.label) for item in study.labelled]
    images = [_bytes(item.image) for item in (*study.labelled, *study.unlabelled)]
    seen: list[dict[str, object]] = []
    said: list[str] = []
    report = _run(study, progress=seen.append, says=said.append)
    assert said == [
        "Loading frames and networks",
        "Trying the model in use on the labels",
        "Preparing the training",
        "Training",
        "Trying the new model on the labels",
        "Choosing the frames to ask for next",
    ]
    assert report.published
    assert report.reason.endswith("on 3 labels of 3 patients")
    assert report.round == 1
    assert report.digest == file_digest(study.state.published)
    assert [values["epoch"] for values in seen] == [1, 2]
    assert report.trained_on == 3
    assert 0.0 <= report.metric <= 1.0
    assert (report.judged["frames"], report.judged["patients"]) == (3, 3)
    for name in SCORES_OF_ANY:
        scores = study.state.ledger.scores(report.digest, name)
        assert scores.keys() == set(study.pool_ids)
        assert all(math.isfinite(value) for value in scores.values())
    pld = list(study.state.ledger.scores(report.digest, "pld").values())
    assert report.pld == {"scored": 3, "mean": pytest.approx(np.mean(pld)), "max": pytest.approx(max(pld))}
    assert [_bytes(item.label) for item in study.labelled] == labels
    assert [_bytes(item.image) for item in (*study.labelled, *study.unlabelled)] == images
    record = study.state.ledger.rounds()[0]
    assert (record.status, record.checkpoint_digest) == ("published", report.digest)
    assert record.metrics["trained_on"] == 3
    assert record.metrics["judged"] == json.loads(json.dumps(report.judged))
    assert len(record.metrics["iou"]) == 2
    assert record.settings["network"] == "unet"
    assert record.versions.keys() == {"torch", "monai", "python"}
    json.dumps(report.as_stats())
    loaded = load_pair(study.state.published, CPU)
    assert loaded.pair.updates == 4
    assert 0.1 < loaded.surroundings["uneven_lumen"] < 2, "noise of one kind on both sides of the bands"
    assert any((study.state.events / "round-0001").iterdir())


def test_the_events_are_written_and_their_writer_is_gone(study, monkeypatch):
    before = set(threading.enumerate())
    _run(study)
    file = next((study.state.events / "round-0001").iterdir())
    assert b"loss" in file.read_bytes().lower()
    assert set(threading.enumerate()) <= before
    monkeypatch.setattr("sequal.learning.training.train.refine_labels", None)
    monkeypatch.setattr("sequal.learning.training.early_learning.early_learning_over", lambda *_: True)
    with pytest.raises(TypeError):
        _run(study)
    assert set(threading.enumerate()) <= before


def test_a_worse_pair_is_not_published(study, monkeypatch, fire):
    _validation(monkeypatch, lambda updates: 1.0 / max(updates, 1))
    _run(study)
    before = _bytes(study.state.published)
    report = _run(study, settings(**FUSION))
    assert not report.published
    assert report.metric < report.published_metric
    assert "3 of 3 labels contradict the others or became worse" in report.reason
    assert _bytes(study.state.published) == before
    assert report.refinement.images > 0
    assert study.state.refined.image_ids() == []
    assert study.state.ledger.refined() == []
    assert not list((study.state.root / "refined").iterdir())
    assert report.pld["scored"] == 0
    record = study.state.ledger.rounds()[1]
    assert (record.status, record.checkpoint_digest) == ("rejected", report.digest)
    # The rejected pair can still be looked at.
    assert file_digest(study.state.checkpoints / "round-0002.pt") == report.digest


def test_a_pair_that_is_only_as_good_is_published(study, monkeypatch):
    _validation(monkeypatch, lambda _: 0.5)
    _run(study)
    assert _run(study).published


def test_the_first_round_is_compared_with_the_starting_weights(study, monkeypatch):
    weights = study.state.root / "starting.pt"
    pair = MeanTeacherPair(Architecture("unet"))
    save_checkpoint(weights, checkpoint_payload(pair, {"iterations": 1}))
    _validation(monkeypatch, lambda updates: 1.0 / max(updates, 1))
    report = _run(study, starting_weights=weights)
    assert (report.published, report.published_metric) == (False, 1.0)
    assert not study.state.published.exists()
    _validation(monkeypatch, lambda updates: updates / 100)
    assert _run(study, starting_weights=weights).published


def test_without_the_gate_nothing_is_judged(study, monkeypatch):
    _validation(monkeypatch, lambda updates: 1.0 / max(updates, 1))
    for _ in range(2):
        report = _run(study, gate=False)
        assert (report.published, report.metric, report.judged["frames"]) == (True, None, 0)


def test_labels_that_the_model_in_service_has_learnt_from_are_not_new(study, monkeypatch):
    seen = []
    monkeypatch.setattr(
        "sequal.learning.training.round.decide", lambda figures, **_: seen.append(figures) or Verdict(True, "so")
    )
    run_round(study.labelled[:2], study.unlabelled, study.state, settings())
    _run(study)
    assert [[label.new for label in figures] for figures in seen] == [[True, True], [False, False, True]]


def test_a_better_pair_is_published_and_goes_on_from_the_last(study, monkeypatch):
    _validation(monkeypatch, lambda updates: updates / 100)
    first = _run(study)
    second = _run(study)
    assert second.published
    assert (second.published_metric, second.metric) == (0.04, 0.08)
    assert "0.040 before and 0.080 after" in second.reason
    assert second.digest == file_digest(study.state.published) != first.digest
    assert load_pair(study.state.published, CPU).pair.updates == 8
    assert study.state.ledger.scores(second.digest, "pld").keys() == set(study.pool_ids)


def test_the_next_round_goes_on_from_the_model_that_was_put_back(study, monkeypatch):
    _validation(monkeypatch, lambda updates: updates / 100)
    for _ in range(3):
        _run(study)
    models = StudyModels(study.state, None)
    models.put_back(1)
    report = _run(study)
    assert report.published
    assert load_pair(study.state.published, CPU).pair.updates == 8  # four of round 1, four of this one
    assert study.state.ledger.scores(report.digest, "pld").keys() == set(study.pool_ids)
    assert [record.train_ids for record in study.state.ledger.rounds()] == [["im0", "im1", "im2"]] * 4


def test_a_model_that_was_put_back_while_a_round_ran_stays_in_service(study, monkeypatch):
    _validation(monkeypatch, lambda updates: updates / 100)
    first = _run(study)
    _run(study)
    put = []

    def put_back(values):
        if not put:
            put.append(StudyModels(study.state, None).put_back(1))

    report = _run(study, progress=put_back)
    assert not report.published
    assert "put into service while this round ran" in report.reason
    assert file_digest(study.state.published) == first.digest
    assert study.state.ledger.rounds()[2].status == "rejected"
    assert StudyModels(study.state, None).in_service().round == 1
    StudyModels(study.state, None).put_back(3)
    assert file_digest(study.state.published) == report.digest


def test_the_model_in_service_is_never_pruned(study, monkeypatch):
    _validation(monkeypatch, lambda updates: updates / 100)
    _run(study)
    _validation(monkeypatch, lambda updates: 1 / max(updates, 1))
    for _ in range(4):
        assert not _run(study, settings(keep_checkpoints=2)).published
    kept = [model.round for model in StudyModels(study.state, None).kept()]
    assert kept == [1, 4, 5]
    assert study.state.checkpoint_of(1).exists()


def test_refined_labels_are_committed_with_their_provenance(study, fire):
    contents = [item.label.read_bytes() for item in study.labelled]
    report = _run(study, settings(**FUSION))
    assert report.refinement.epoch == 2
    assert report.refinement.images == 3
    assert report.refinement.pixels_changed > 0
    train = study.state.ledger.rounds()[0].train_ids
    assert study.state.refined.image_ids() == train
    fusion = study.state.checkpoints / "round-0001-fusion.pt"
    recorded = {record.image: record for record in study.state.ledger.refined()}
    assert sorted(recorded) == train
    by_id = {item.id: item for item in study.labelled}
    for image in train:
        provenance = study.state.refined.provenance(image)
        assert provenance.round == 1
        assert provenance.label_digest == file_digest(by_id[image].label)
        assert provenance.checkpoint_digest == file_digest(fusion)
        assert provenance.fusion_lambda == 0.5
        assert 0.0 < provenance.fraction_changed <= 1.0
        assert recorded[image].fraction_changed == provenance.fraction_changed
        assert recorded[image].checkpoint_digest == provenance.checkpoint_digest
        label = study.state.refined.get(image, provenance.label_digest)
        assert label.shape == (96, 64, 1)
    assert [item.label.read_bytes() for item in study.labelled] == contents


def test_a_refined_label_is_dropped_when_the_expert_edits(study, fire, monkeypatch):
    _run(study, settings(**FUSION))
    image = study.state.ledger.rounds()[0].train_ids[0]
    item = next(item for item in study.labelled if item.id == image)
    edited = np.zeros((96, 64, 1))
    edited[:, 5:9] = 1
    write_label(item.label, edited)
    _run(study)
    assert study.state.refined.get(image, file_digest(item.label)) is None


def test_validation_images_are_frozen_and_never_trained_on(study, monkeypatch):
    trained = set()
    real = TwoStreamBatches._labelled_patch

    def watched(self):
        trained.update(item.id for item in self._labelled)
        return real(self)

    monkeypatch.setattr(TwoStreamBatches, "_labelled_patch", watched)
    apart = settings(validation_fraction=0.2)
    _run(study, apart)
    split = Split.load(study.state.split_file)
    assert len(split.images) == 1
    # Another image of the same patient, and two more patients, are labelled before the second round.
    held_out = next(item for item in study.labelled if item.id in split.images)
    twin = Item("twin", study.unlabelled[0].image, study.labelled[0].label, patient=held_out.patient)
    more = [replace(item, label=study.labelled[0].label) for item in study.unlabelled[1:]]
    run_round([*study.labelled, twin, *more], [], study.state, apart)
    assert Split.load(study.state.split_file) == split
    assert not trained & {held_out.id, "twin"}
    assert trained == {item.id for item in (*study.labelled, *more)} - {held_out.id}
    for record in study.state.ledger.rounds():
        assert record.validation_ids == [held_out.id]
        assert held_out.id not in record.train_ids


def test_a_split_of_an_older_version_is_set_aside_and_its_labels_are_learnt_from(study):
    _run(study, settings(validation_fraction=0.2))
    assert len(study.state.ledger.rounds()[0].train_ids) == 2
    report = _run(study)
    assert report.trained_on == 3
    assert not study.state.split_file.exists()
    assert study.state.split_file.with_name("split.retired.json").exists()


def test_a_corrupt_image_and_an_unusable_label_are_named(study):
    study.unlabelled[0].image.write_bytes(b"corrupt")
    wrong = Item(
        "wrong",
        study.labelled[0].image,
        write_label(study.folder / "wrong.nii.gz", np.ones((5, 5, 1))),
        "pw",
    )
    broken = Item("broken", study.folder / "none.nii.gz", study.labelled[0].label, "pb")
    report = run_round([*study.labelled, wrong, broken], study.unlabelled, study.state, settings())
    assert report.published
    # The split may have taken one of the two for validation: it is named all the same.
    assert report.left_out.keys() == {"im3", "wrong", "broken"}
    assert "im3" in report.left_out["im3"]
    assert "size of its frame" in report.left_out["wrong"]
    assert report.pld["scored"] == 2
    for name in SCORES_OF_ANY:
        scores = study.state.ledger.scores(report.digest, name)
        assert scores.keys() == {"im3", "im4", "im5"}
        assert math.isnan(scores["im3"])
    assert unscored_items(study.unlabelled, report.digest, study.state.ledger) == []
    assert report.as_stats()["left_out"] == dict(report.left_out)


def test_without_labels(study):
    with pytest.raises(StudyError, match="0 labelled"):
        run_round([], study.unlabelled, study.state, settings())
    assert study.state.ledger.rounds()[0].status == "failed"
    assert "StudyError" in study.state.ledger.rounds()[0].reason
    assert not study.state.published.exists()


def test_with_unusable_labels_only(study):
    for item in study.labelled:
        write_label(item.label, np.full((96, 64, 1), 255))
    with pytest.raises(StudyError, match=r"none can be used.*im"):
        _run(study)


def test_empty_labels_are_learnt_from_and_counted(study):
    for item in study.labelled[:2]:
        write_label(item.label, np.zeros((96, 64, 1)))
    report = _run(study, settings(validation_fraction=0))
    assert report.trained_on == 3
    assert report.no_layer == report.as_stats()["no_layer"] == 2
    assert study.state.ledger.rounds()[0].metrics["no_layer"] == 2


def test_a_study_of_empty_labels_alone_can_be_learnt_from(study):
    for item in study.labelled:
        write_label(item.label, np.zeros((96, 64, 1)))
    assert _run(study).published


def test_one_label_and_no_pool(study):
    report = run_round(study.labelled[:1], [], study.state, settings())
    assert report.published
    assert report.judged["frames"] == 1
    assert report.trained_on == 1
    assert report.pld == {"scored": 0, "mean": None, "max": None}
    assert not study.state.split_file.exists()
    again = run_round(study.labelled[:1], [], study.state, settings())
    assert again.published
    assert again.as_stats()["best_metric"] == again.metric


def test_a_full_disk_while_publishing(study, monkeypatch, fire):
    _validation(monkeypatch, lambda updates: updates / 100)
    _run(study)
    before = _bytes(study.state.published)
    real = os.replace

    def full(source, target):
        if str(target).endswith("published.pt"):
            raise OSError(errno.ENOSPC, "No space left on device")
        real(source, target)

    with monkeypatch.context() as disk:
        disk.setattr("sequal.study.state.atomic.os.replace", full)
        with pytest.raises(PublishError, match="Free space"):
            _run(study, settings(**FUSION))
    assert _bytes(study.state.published) == before
    record = study.state.ledger.rounds()[1]
    assert record.status == "failed"
    assert "PublishError" in record.reason
    assert study.state.refined.image_ids() == []
    assert not list((study.state.root / "refined").iterdir())
    assert sorted(path.name for path in study.state.root.glob(".*.tmp")) == []
    assert _run(study).round == 3


def test_the_first_error_is_told_when_the_ledger_fails_too(study, monkeypatch, caplog):
    def full(*_args, **_kwargs):
        raise StudyError("the ledger is full")

    monkeypatch.setattr(
        "sequal.learning.training.publish.publish", lambda *_: (_ for _ in ()).throw(PublishError("no space"))
    )
    monkeypatch.setattr(type(study.state.ledger), "finish_round", full)
    with pytest.raises(PublishError, match="no space"):
        _run(study)
    assert "Cannot record the end of round 1" in caplog.text


def test_a_round_that_fails_after_publishing_is_recorded_as_published(study, monkeypatch):
    def full(*_args, **_kwargs):
        raise StudyError("scores cannot be written")

    monkeypatch.setattr("sequal.learning.training.round.score_pool", full)
    with pytest.raises(StudyError, match="scores cannot"):
        _run(study)
    record = study.state.ledger.rounds()[0]
    assert study.state.published.exists()
    assert record.status == "published"
    assert "3 labels of 3 patients" in record.reason
    assert "scores cannot be written" in record.reason


def test_an_interrupted_round_leaves_the_published_pair(study, monkeypatch):
    _run(study)
    before = _bytes(study.state.published)

    def stop(_):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        _run(study, progress=stop)
    assert _bytes(study.state.published) == before
    assert study.state.ledger.rounds()[1].status == "failed"


def test_weights_that_are_not_finite_are_never_published(study, monkeypatch):
    report = _run(study, settings(learning_rate=1e30, epochs=1))
    assert not report.published
    assert "diverged" in report.reason
    assert not study.state.published.exists()


def test_the_same_data_and_seed_give_the_same_bytes(tmp_path, tiny):
    reports, published = [], []
    for name, seed, noise in (("a", 5, 0), ("b", 5, 3), ("c", 6, 0)):
        study = make_study(tmp_path / name)
        torch.rand(noise)
        np.random.rand(noise)  # noqa: NPY002
        reports.append(_run(study, settings(seed=seed)))
        published.append(study.state.published.read_bytes())
        reports[-1] = (reports[-1].digest, dict(reports[-1].pld), reports[-1].metric)
    assert published[0] == published[1]
    assert reports[0] == reports[1]
    assert published[0] != published[2]


def test_the_seed_of_a_round_follows_from_base_and_number():
    seeds = {round_seed(base, number) for base in range(5) for number in range(1, 6)}
    assert len(seeds) == 25
    assert round_seed(3, 2) == round_seed(3, 2)


def test_the_published_preset_stops_after_fusion(study, monkeypatch):
    monkeypatch.setattr("sequal.learning.training.early_learning.paper_trigger", lambda iou: len(iou) == 2)
    chosen = settings(preset="paper", epochs=4, fusion_lambda=0.5, fusion_min_foreground=0.0)
    epochs = []
    report = _run(study, chosen, progress=lambda values: epochs.append(values["epoch"]))
    assert report.refinement.epoch == 2
    assert epochs == [1, 2]
    assert report.published
    meta = load_checkpoint(study.state.published).meta
    assert meta["iterations"] == 4
    assert set(meta["confidence"]) == {"doubt", "error"}


@pytest.mark.parametrize(
    ("changes", "stored"),
    [
        ({}, False),
        ({"pld_pair": "consecutive_rounds"}, True),
        ({"pld_at": "trigger"}, True),
        ({"pld_pair": "consecutive_rounds", "pld_at": "trigger", "pld_form": "kl"}, True),
    ],
)
def test_scores_can_be_computed_from_the_published_checkpoint_alone(study, fire, changes, stored):
    chosen = settings(**FUSION, **changes, learning_rate=0.01)
    report = _run(study, chosen)
    checkpoint = load_checkpoint(study.state.published)
    assert (checkpoint.query_pair is not None) is stored
    loaded = load_pair(study.state.published, CPU)
    again = score_items(
        study.unlabelled,
        loaded,
        WorkingFrames(chosen),
        chosen,
        CPU,
        lambda *_: None,
    )
    for name in SCORES_OF_ANY:
        recorded = study.state.ledger.scores(report.digest, name)
        assert recorded == pytest.approx({image: scores[name] for image, scores in again.items()}, rel=1e-6)


def test_what_the_query_pair_holds(study, fire):
    chosen = settings(**FUSION, pld_pair="consecutive_rounds", learning_rate=0.01)
    with torch.random.fork_rng():
        torch.manual_seed(round_seed(0, 1))
        untrained = MeanTeacherPair(Architecture("unet")).weights()["teacher"]
    _run(study, chosen)
    first = load_checkpoint(study.state.published)
    assert _same(first.query_pair["other"].weights, untrained)
    teacher = first.members["teacher"].weights
    for key, tensor in first.query_pair["reference"].weights.items():
        # The teacher itself: stored once, not as a copy.
        assert tensor.data_ptr() == teacher[key].data_ptr()
    _run(study, replace(chosen, pld_at="trigger"))
    second = load_checkpoint(study.state.checkpoints / "round-0002.pt")
    assert _same(second.query_pair["other"].weights, teacher)
    fusion = load_checkpoint(study.state.checkpoints / "round-0002-fusion.pt")
    assert _same(second.query_pair["reference"].weights, fusion.members["teacher"].weights)
    assert not _same(second.query_pair["reference"].weights, second.members["teacher"].weights)


def _same(weights, others):
    return all(torch.equal(tensor, others[key]) for key, tensor in weights.items())


def test_trigger_that_never_fires_falls_back_to_the_end(study):
    report = _run(study, settings(pld_at="trigger", trigger="never"))
    assert report.refinement.epoch is None
    assert load_checkpoint(study.state.published).query_pair is None
    assert report.pld["scored"] == 3


def _starting_weights(path, name="unet"):
    pair = MeanTeacherPair(Architecture(name))
    save_checkpoint(path, checkpoint_payload(pair, {"round": 0, "iterations": 100}))
    return path


def test_a_new_study_starts_from_the_starting_weights(study, tmp_path):
    start = _starting_weights(tmp_path / "start.pt")
    content = start.read_bytes()
    _run(study, starting_weights=start)
    assert load_pair(study.state.published, CPU).pair.updates == 104
    assert start.read_bytes() == content


def test_starting_weights_of_another_network_or_none_are_passed_over(study, tmp_path):
    _run(study, starting_weights=_starting_weights(tmp_path / "start.pt", "segresnet"))
    assert load_pair(study.state.published, CPU).pair.updates == 4
    other = make_study(tmp_path / "other")
    _run(other, starting_weights=tmp_path / "none.pt")
    assert load_pair(other.state.published, CPU).pair.updates == 4


def test_a_published_pair_of_another_network_is_an_error(study):
    _starting_weights(study.state.published, "segresnet")
    before = _bytes(study.state.published)
    with pytest.raises(CheckpointError, match="hold unet, got segresnet"):
        _run(study)
    assert _bytes(study.state.published) == before
    assert study.state.ledger.rounds()[0].status == "failed"


def test_old_checkpoints_are_pruned_and_the_published_one_stays(study):
    for _ in range(3):
        _run(study, settings(keep_checkpoints=2, epochs=1, iterations_per_epoch=1))
    assert sorted(path.name for path in study.state.checkpoints.iterdir()) == ["round-0002.pt", "round-0003.pt"]
    assert study.state.published.exists()


def test_clips_and_mixed_sizes_go_through_a_whole_round(tmp_path, tiny):
    study = make_study(tmp_path / "clips", labelled=1, unlabelled=1, frames=2)
    other = make_study(tmp_path / "stills", labelled=2, unlabelled=2, size=(50, 90))
    items = [replace(item, id=f"still-{item.id}") for item in other.unlabelled]
    labelled = [*study.labelled, *(replace(i, id=f"still-{i.id}", patient=f"s{i.patient}") for i in other.labelled)]
    report = run_round(labelled, [*study.unlabelled, *items], study.state, settings())
    assert report.published
    assert report.pld["scored"] == 3


def test_a_round_computes_no_more_than_its_strategy_needs(study):
    report = _run(study, settings(strategy="pld"))
    assert study.state.ledger.scores(report.digest, "bald") == {}
    assert study.state.features.get(report.digest, "bottleneck") == {}


def test_a_round_scores_bald_for_the_strategy_bald(study, monkeypatch):
    monkeypatch.setitem(registry._BUILDERS, "unet", lambda _: lambda: _tiny_network().insert(3, nn.Dropout(0.5)))
    report = _run(study, settings(strategy="bald"))
    scores = study.state.ledger.scores(report.digest, "bald")
    assert scores.keys() == set(study.pool_ids)
    assert all(math.isfinite(score) for score in scores.values())


@pytest.mark.parametrize("strategy", ["coreset", "badge", "pld_diverse"])
def test_a_round_keeps_features_for_a_strategy_in_feature_space(study, strategy):
    chosen = settings(strategy=strategy, keep_checkpoints=1, learning_rate=1e-6)
    for old in ("older", "old"):
        study.state.features.put(old, "bottleneck", {"im0": np.ones(1, np.float32)})
    report = _run(study, chosen)
    for kind in ("bottleneck", "gradient"):
        vectors = study.state.features.get(report.digest, kind)
        assert vectors.keys() == {item.id for item in (*study.labelled, *study.unlabelled)}
    assert study.state.features.get("older", "bottleneck") == {}
    assert study.state.features.get("old", "bottleneck").keys() == {"im0"}
    unlabelled = study.pool_ids
    pool = study_pool(study.state, report.digest, unlabelled, [item.id for item in study.labelled], {})
    queries = STRATEGIES[strategy].rank(pool, np.random.default_rng(0))
    assert sorted(query.id for query in queries) == sorted(unlabelled)
    assert all(query.score is not None for query in queries)


def test_a_round_ends_with_masks_as_thick_as_the_labels(tmp_path, monkeypatch):
    """The same round with and without: nothing differs but what one layer of each network adds to the background."""
    monkeypatch.setattr("sequal.anatomy.models.carotid.Carotid.logit_offset", lambda _, seen: 0.1 * len(list(seen)))
    members = []
    for wanted in ("false", "true"):
        study = make_study(tmp_path / wanted, labelled=3)
        _run(study, settings(match_thickness=wanted))
        members.append(load_checkpoint(study.state.published).members)
    for name, without in members[0].items():
        different = {
            key: members[1][name].weights[key] - tensor
            for key, tensor in without.weights.items()
            if not torch.equal(tensor, members[1][name].weights[key])
        }
        assert len(different) == 1
        torch.testing.assert_close(next(iter(different.values())), torch.tensor([-0.3, 0.0]))
