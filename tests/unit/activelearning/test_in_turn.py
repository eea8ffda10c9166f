import pytest
from fastapi import HTTPException

from lib.activelearning import ModelsInTurn


class _Strategy:
    """Gives its images one after the other."""

    def __init__(self, *images: str) -> None:
        self.description = f"Next of {images}"
        self._left = list(images)

    def __call__(self, request, datastore):
        return {"id": self._left.pop(0), "score": None, "reason": "chance"} if self._left else {}


@pytest.fixture
def strategy():
    return ModelsInTurn({"carotid": _Strategy("a", "b"), "volume": _Strategy("ct")})


def test_the_images_of_a_model_come_while_there_are_any_then_those_of_the_next(strategy):
    asked = [strategy({"client_id": "anna"}, None) for _ in range(4)]
    assert [(found.get("id"), found.get("model")) for found in asked] == [
        ("a", "carotid"),
        ("b", "carotid"),
        ("ct", "volume"),
        (None, None),
    ]


def test_a_request_may_name_the_model(strategy):
    assert strategy({"model": "volume"}, None)["id"] == "ct"
    assert strategy({"model": "volume"}, None) == {}
    with pytest.raises(HTTPException, match=r"\(carotid, volume\), got 'liver'") as refused:
        strategy({"model": "liver"}, None)
    assert refused.value.status_code == 400
