"""One query strategy over the studies of a server: the images of one model while there are any, then of the next."""

from collections.abc import Mapping
from typing import Any

from monailabel.interfaces.datastore import Datastore
from monailabel.interfaces.tasks.strategy import Strategy

from lib.activelearning.leased import LeasedStrategy
from lib.configs import chosen, refusal
from sequal.errors import SettingsError

__all__ = ["ModelsInTurn"]


class ModelsInTurn(Strategy):
    """MONAI Label's clients name a strategy and no model; one that names `model` gets its images alone.

    Args:
        strategies: the strategy on the study of each model.
    """

    def __init__(self, strategies: Mapping[str, LeasedStrategy]) -> None:
        super().__init__(next(iter(strategies.values())).description)
        self._strategies = strategies

    def __call__(self, request: dict[str, Any], datastore: Datastore) -> dict[str, Any]:
        """`{"id", "score", "reason", "model"}`, or `{}` when no image is left for this annotator."""
        try:
            asked = chosen(self._strategies, request)
        except SettingsError as error:
            raise refusal(error) from error
        for model, strategy in asked.items():
            found = strategy(request, datastore)
            if found:
                return {**found, "model": model}
        return {}
