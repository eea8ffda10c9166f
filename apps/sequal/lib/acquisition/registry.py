"""All query strategies by the name that clients ask for them by."""

from lib.acquisition.badge import BadgeStrategy
from lib.acquisition.bald_strategy import BaldStrategy
from lib.acquisition.coreset import CoresetStrategy
from lib.acquisition.functions import ACQUISITION_FUNCTIONS
from lib.acquisition.pld_diverse import PldDiverseStrategy
from lib.acquisition.power_strategy import PowerStrategy
from lib.acquisition.random import RandomStrategy
from lib.acquisition.scored import ScoredStrategy
from lib.acquisition.strategy import QueryStrategy

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
