"""The scoring method at the server, with a study of files and no server."""

from dataclasses import dataclass
from types import SimpleNamespace

import pytest
import torch

from lib.scoring import PldScoring, unscored
from lib.scoring import pld as module
from sequal.acquisition import FEATURE_KINDS, STRATEGIES
from sequal.errors import SettingsError
from sequal.learning.methods.sequal import MeanTeacherPair
from sequal.learning.networks import Architecture
from sequal.prediction import ServedModel, checkpoint_payload
from sequal.settings import Settings
from sequal.study.pool import query_generator, study_pool
from sequal.study.state import ROUND, save_checkpoint
from unit.synthetic_study import make_study, settings

CPU = torch.device("cpu")


@dataclass
class FakeStudy:
    """What the scoring method uses of a study; the datastore is not looked at."""

    files: object
    settings: Settings
    served: ServedModel
    device = CPU

    @property
    def state(self):
        return self.files.state

    def labelled(self, _datastore):
        return self.files.labelled

    def unlabelled(self, _datastore):
        return self.files.unlabelled

    def listed(self, _datastore):
        return self.files.labelled, self.files.unlabelled


@pytest.fixture
def study_with(tmp_path):
    """A study of one labelled and two unlabelled images with starting weights, under a strategy."""

    def build(strategy="pld", network="unet"):
        files = make_study(tmp_path / "study", labelled=1, unlabelled=2)
        with torch.random.fork_rng():
            torch.manual_seed(0)
            pair = MeanTeacherPair(Architecture(network))
        path = tmp_path / "start.pt"
        save_checkpoint(path, checkpoint_payload(pair, {}))
        served = ServedModel(files.state.published, path, CPU)
        return FakeStudy(files, settings(strategy=strategy), served)

    return build


def first(study, strategy):
    """The first query of a strategy as the server ranks it."""
    unlabelled, labelled = ([item.id for item in items] for items in (study.files.unlabelled, study.files.labelled))
    patients = {item.id: item.patient for item in (*study.files.unlabelled, *study.files.labelled)}
    pool = study_pool(study.state, study.served.digest, unlabelled, labelled, patients)
    return STRATEGIES[strategy].rank(pool, query_generator(0, pool))[0]


def test_by_default_nothing_is_computed_that_costs_more(study_with):
    study = study_with()
    result = PldScoring(study)({}, None)
    digest = study.served.digest
    assert result == {"checkpoint": digest, "scored": 2, "left_out": {}}
    assert study.state.ledger.scores(digest, "bald") == {}
    assert study.state.features.get(digest, "bottleneck") == {}
    assert unscored(study, None) == []
    assert PldScoring(study)({}, None)["scored"] == 0


def test_a_request_names_what_it_wants_and_it_is_done_once(study_with):
    study = study_with()
    PldScoring(study)({}, None)
    request = {"acquisitions": "bald,features"}
    result = PldScoring(study)(request, None)
    assert (result["scored"], result["features"]) == (2, 3)
    digest = study.served.digest
    assert study.state.ledger.scores(digest, "bald").keys() == {"im1", "im2"}
    for kind in FEATURE_KINDS:
        assert study.state.features.get(digest, kind).keys() == {"im0", "im1", "im2"}
    again = PldScoring(study)(request, None)
    assert again == {"checkpoint": digest, "scored": 0, "left_out": {}}


@pytest.mark.parametrize("strategy", ["bald", "coreset", "badge", "pld_diverse"])
def test_the_strategy_of_the_study_is_served_without_being_asked(study_with, strategy):
    study = study_with(strategy)
    assert "cold start" in first(study, strategy).reason
    everything = {"im1", "im2"} if strategy == "bald" else {"im0", "im1", "im2"}
    assert {item.id for item in unscored(study, None)} == everything
    PldScoring(study)({}, None)
    assert unscored(study, None) == []
    query = first(study, strategy)
    assert query.score is not None
    assert "rank 1 of 2" in query.reason


def test_bald_of_a_network_without_dropout_says_so(study_with):
    study = study_with("bald", "basic_unet")
    PldScoring(study)({}, None)
    assert unscored(study, None) == []
    query = first(study, "bald")
    assert query.score is None
    assert "no dropout" in query.reason


def test_an_unreadable_image_is_left_out_once(study_with):
    study = study_with("coreset")
    study.files.labelled[0].image.write_bytes(b"not an image")
    result = PldScoring(study)({}, None)
    assert result["left_out"].keys() == {"im0"}
    assert result["features"] == 2
    assert unscored(study, None) == []


def test_an_unknown_name_is_refused_before_any_work(study_with):
    study = study_with()
    with pytest.raises(SettingsError, match="acquisitions"):
        PldScoring(study)({"acquisitions": "dropout"}, None)
    assert study.state.ledger.scores(study.served.digest, "pld") == {}


def test_without_a_model_there_is_nothing_to_score(study_with, tmp_path):
    study = study_with("coreset")
    (tmp_path / "start.pt").unlink()
    assert unscored(study, None) == []
    assert PldScoring(study)({"acquisitions": "bald,features"}, None) == {
        "checkpoint": None,
        "scored": 0,
        "left_out": {},
    }


def test_nothing_is_scored_while_a_round_runs(study_with, monkeypatch):
    study = study_with()
    ledger, digest, waits = study.state.ledger, study.served.digest, []
    ledger.take_lock(ROUND, "elsewhere/1/2", 1000)

    def wait(_seconds):
        waits.append(len(ledger.scores(digest, "pld")))
        if len(waits) == 3:
            ledger.free_lock(ROUND, "elsewhere/1/2")

    monkeypatch.setattr(module, "time", SimpleNamespace(sleep=wait))  # other threads sleep as ever
    assert PldScoring(study)({}, None)["scored"] == 2
    assert waits == [0, 0, 0]


def test_a_round_that_begins_stops_a_scoring_after_the_image_at_hand(study_with, monkeypatch):
    study = study_with()
    ledger, digest, waits = study.state.ledger, study.served.digest, []
    put_scores = ledger.put_scores

    def put(*scores):
        put_scores(*scores)
        if not waits:
            ledger.take_lock(ROUND, "elsewhere/1/2", 1000)

    def wait(_seconds):
        waits.append(len(ledger.scores(digest, "pld")))
        ledger.free_lock(ROUND, "elsewhere/1/2")

    monkeypatch.setattr(ledger, "put_scores", put)
    monkeypatch.setattr(module, "time", SimpleNamespace(sleep=wait))  # other threads sleep as ever
    result = PldScoring(study)({}, None)
    assert waits == [1]
    assert result == {"checkpoint": digest, "scored": 2, "left_out": {}}
    assert unscored(study, None) == []
