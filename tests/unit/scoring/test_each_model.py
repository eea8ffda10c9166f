import pytest

from lib.scoring import EachModel
from sequal.errors import CheckpointError, SettingsError


class _Method:
    description = "scores"

    def __init__(self, scored: int | None) -> None:
        self._scored = scored

    def check(self, request):
        if request.get("acquisitions") == "nonsense":
            raise SettingsError("no such score")

    def __call__(self, request, datastore):
        if self._scored is None:
            raise CheckpointError("no model yet")
        return {"scored": self._scored}


def test_all_models_are_scored_or_the_one_that_is_named():
    scoring = EachModel({"carotid": _Method(3), "volume": _Method(2)})
    assert scoring({}, None) == {"carotid": {"scored": 3}, "volume": {"scored": 2}}
    assert scoring({"model": "volume"}, None) == {"scored": 2}
    with pytest.raises(SettingsError, match="got 'liver'"):
        scoring.check({"model": "liver"})
    with pytest.raises(SettingsError, match="no such score"):
        scoring.check({"acquisitions": "nonsense"})


def test_one_model_is_answered_as_it_is():
    assert EachModel({"carotid": _Method(3)})({}, None) == {"scored": 3}


def test_a_model_that_cannot_be_scored_holds_up_no_other():
    scoring = EachModel({"carotid": _Method(3), "volume": _Method(None)})
    assert scoring({}, None) == {"carotid": {"scored": 3}, "volume": {"error": "no model yet"}}
    with pytest.raises(CheckpointError, match="no model yet"):
        scoring({"model": "volume"}, None)
