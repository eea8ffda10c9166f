"""All query strategies by the name that clients ask for them by."""

from sequal.acquisition.badge import BadgeStrategy
from sequal.acquisition.bald_strategy import BaldStrategy
from sequal.acquisition.coreset import CoresetStrategy
from sequal.acquisition.functions import ACQUISITION_FUNCTIONS
from sequal.acquisition.pld_diverse import PldDiverseStrategy
from sequal.acquisition.power_strategy import PowerStrategy
from sequal.acquisition.random import RandomStrategy
from sequal.acquisition.scored import ScoredStrategy
from sequal.acquisition.strategy import QueryStrategy

__all__ = ["STRATEGIES"]

_ALL: tuple[QueryStrategy, ...] = (
    RandomStrategy(),
    *(ScoredStrategy(acquisition) for acquisition in ACQUISITION_FUNCTIONS),
    PowerStrategy(),
    PldDiverseStrategy(),
    BaldStrategy(),
    CoresetStrategy(),
    BadgeStrategy(),
)
STRATEGIES: dict[str, QueryStrategy] = {strategy.name: strategy for strategy in _ALL}
