"""Acquisition functions score images, query strategies rank the pool by them; higher is asked for first."""

from lib.acquisition.badge import BadgeStrategy, k_means_plus_plus
from lib.acquisition.bald import bald
from lib.acquisition.bald_strategy import BaldStrategy
from lib.acquisition.coreset import CoresetStrategy, k_centre_greedy
from lib.acquisition.entropy import entropy
from lib.acquisition.extras import BALD, EXTRAS, FEATURE_KINDS, FEATURES, FeatureKind, extras_for, parse_extras
from lib.acquisition.functions import ACQUISITION_FUNCTIONS, LAYER_ENTROPY, PLD, AcquisitionFunction, score_all
from lib.acquisition.layer_entropy import layer_entropy
from lib.acquisition.least_confidence import least_confidence
from lib.acquisition.margin import margin
from lib.acquisition.pld import PLD_FORMS, PldForm, pseudo_label_divergence
from lib.acquisition.pld_diverse import PldDiverseStrategy
from lib.acquisition.power import POWER, power_score
from lib.acquisition.random import RandomStrategy
from lib.acquisition.registry import STRATEGIES
from lib.acquisition.scored import ScoredStrategy
from lib.acquisition.strategy import Candidate, Pool, Query, QueryStrategy

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
