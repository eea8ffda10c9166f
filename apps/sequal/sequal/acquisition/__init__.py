"""Acquisition functions score images, query strategies rank the pool by them; higher is asked for first."""

from sequal.acquisition.bald import bald
from sequal.acquisition.extras import BALD, EXTRAS, FEATURE_KINDS, FEATURES, FeatureKind, extras_for, parse_extras
from sequal.acquisition.functions import (
    ACQUISITION_FUNCTIONS,
    LAYER_ENTROPY,
    PLD,
    SCORES_OF_ANY,
    SQA,
    STRATEGIES,
    AcquisitionFunction,
    score_all,
)
from sequal.acquisition.power import POWER, power_score
from sequal.acquisition.scored import ScoredStrategy
from sequal.acquisition.scores.entropy import entropy
from sequal.acquisition.scores.layer_entropy import layer_entropy
from sequal.acquisition.scores.least_confidence import least_confidence
from sequal.acquisition.scores.margin import margin
from sequal.acquisition.scores.pld import PLD_FORMS, pseudo_label_divergence
from sequal.acquisition.seen import PldForm, Seen
from sequal.acquisition.strategies.badge import BadgeStrategy, k_means_plus_plus
from sequal.acquisition.strategies.bald import BaldStrategy
from sequal.acquisition.strategies.coreset import CoresetStrategy, k_centre_greedy
from sequal.acquisition.strategies.pld_diverse import PldDiverseStrategy
from sequal.acquisition.strategies.random import RandomStrategy
from sequal.acquisition.strategy import Candidate, Pool, Query, QueryStrategy

__all__ = [
    "ACQUISITION_FUNCTIONS",
    "BALD",
    "EXTRAS",
    "FEATURES",
    "FEATURE_KINDS",
    "LAYER_ENTROPY",
    "PLD",
    "PLD_FORMS",
    "POWER",
    "SCORES_OF_ANY",
    "SQA",
    "STRATEGIES",
    "AcquisitionFunction",
    "BadgeStrategy",
    "BaldStrategy",
    "Candidate",
    "CoresetStrategy",
    "FeatureKind",
    "PldDiverseStrategy",
    "PldForm",
    "Pool",
    "Query",
    "QueryStrategy",
    "RandomStrategy",
    "ScoredStrategy",
    "Seen",
    "bald",
    "entropy",
    "extras_for",
    "k_centre_greedy",
    "k_means_plus_plus",
    "layer_entropy",
    "least_confidence",
    "margin",
    "parse_extras",
    "power_score",
    "pseudo_label_divergence",
    "score_all",
]
