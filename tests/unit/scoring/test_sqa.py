"""The `sqa` scoring method: only for a model that says where its masks are wrong."""

from types import SimpleNamespace

import pytest

from lib.scoring import SqaScoring
from sequal.errors import CheckpointError
from sequal.learning.methods.sequal import MeanTeacherPair
from sequal.learning.networks import Architecture
from sequal.learning.quality.branched import new_branch
from sequal.prediction import ServedModel, checkpoint_payload
from sequal.study.state import save_checkpoint
from unit.synthetic_study import make_study, settings


@pytest.mark.parametrize("branched", [True, False])
def test_a_model_without_a_branch_is_refused(tmp_path, branched):
    files = make_study(tmp_path / "study", labelled=1, unlabelled=2)
    pair = MeanTeacherPair(Architecture("unet", filters=4))
    pair.branch = new_branch(pair, 0) if branched else None
    digest = save_checkpoint(tmp_path / "start.pt", checkpoint_payload(pair, {}))
    study = SimpleNamespace(
        state=files.state,
        settings=settings(),
        served=ServedModel(files.state.published, tmp_path / "start.pt", "cpu"),
        device="cpu",
        unlabelled=lambda _datastore: files.unlabelled,
    )
    scoring = SqaScoring(study)
    if branched:
        assert scoring({}, None)["scored"] == 2
        ledger = files.state.ledger
        scores = ledger.scores(digest, "sqa")
        assert scores.keys() == {item.id for item in files.unlabelled}
        assert all(0 <= value <= 1 for value in scores.values())
    else:
        with pytest.raises(CheckpointError, match="error branch"):
            scoring({}, None)
