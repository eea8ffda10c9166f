"""Acquisition functions score images, query strategies rank the pool by them; higher is asked for first."""

from lib.acquisition.entropy import entropy
from lib.acquisition.functions import ACQUISITION_FUNCTIONS, PLD, AcquisitionFunction, score_all
from lib.acquisition.least_confidence import least_confidence
from lib.acquisition.margin import margin
from lib.acquisition.pld import PLD_FORMS, PldForm, pseudo_label_divergence
from lib.acquisition.random import RandomStrategy
from lib.acquisition.registry import STRATEGIES
from lib.acquisition.scored import ScoredStrategy
from lib.acquisition.strategy import Pool, Query, QueryStrategy

__all__ = [
    "ACQUISITION_FUNCTIONS",
    "PLD",
    "PLD_FORMS",
    "STRATEGIES",
    "AcquisitionFunction",
    "PldForm",
    "Pool",
    "Query",
    "QueryStrategy",
    "RandomStrategy",
    "ScoredStrategy",
    "entropy",
    "least_confidence",
    "margin",
    "pseudo_label_divergence",
    "score_all",
]
