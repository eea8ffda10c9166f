from pathlib import Path

import pytest
from fastapi import HTTPException

from lib.activelearning import LeasedStrategy
from lib.configs import Study
from sequal.acquisition import STRATEGIES
from sequal.study.state import StudyState
from unit.synthetic_study import settings


class _Datastore:
    """Lists three images; some of them cannot be had, for the given reason."""

    def __init__(self, **failures: int) -> None:
        self.failures = failures

    def get_labeled_images(self) -> list[str]:
        return []

    def get_unlabeled_images(self) -> list[str]:
        return ["a", "b", "c"]

    def get_image_uri(self, image: str) -> str:
        if image in self.failures:
            raise HTTPException(self.failures[image], f"{image} cannot be had")
        return image


class _Served:
    digest = None


@pytest.fixture
def study(tmp_path: Path) -> Study:
    return Study(settings(), StudyState.open(tmp_path, settings()), _Served(), Path(), None, None)


def _ask(study: Study, datastore: _Datastore, client: str = "anna") -> dict[str, object]:
    return LeasedStrategy(study, STRATEGIES["random"])({"client_id": client}, datastore)


def test_annotators_get_different_images_until_none_is_left(study: Study) -> None:
    asked = [_ask(study, _Datastore(), client).get("id") for client in ("anna", "bob", "carl", "dora")]
    assert (set(asked[:3]), asked[3]) == ({"a", "b", "c"}, None)


def test_an_image_that_cannot_be_used_is_passed_over_and_free(study: Study, caplog: pytest.LogCaptureFixture) -> None:
    assert _ask(study, _Datastore(a=400, c=400))["id"] == "b"
    assert set(study.state.ledger.leased()) == {"b"}
    assert _ask(study, _Datastore(a=400, b=400, c=400), "bob") == {}
    assert set(study.state.ledger.leased()) == {"b"}
    assert "Passing over image" in caplog.text


def test_while_images_cannot_be_fetched_nothing_is_leased(study: Study) -> None:
    with pytest.raises(HTTPException, match="cannot be had"):
        _ask(study, _Datastore(a=503, b=503, c=503))
    assert study.state.ledger.leased() == {}
