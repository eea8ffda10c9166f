"""All query strategies by the name that clients ask for them by."""

from lib.acquisition.functions import ACQUISITION_FUNCTIONS
from lib.acquisition.random import RandomStrategy
from lib.acquisition.scored import ScoredStrategy
from lib.acquisition.strategy import QueryStrategy

__all__ = ["STRATEGIES"]

_ALL: tuple[QueryStrategy, ...] = (
    RandomStrategy(),
    *(ScoredStrategy(acquisition) for acquisition in ACQUISITION_FUNCTIONS),
)
STRATEGIES: dict[str, QueryStrategy] = {strategy.name: strategy for strategy in _ALL}
