"""Acquisition functions score images, query strategies rank the pool by them; higher is asked for first."""

from sequal.acquisition.badge import BadgeStrategy, k_means_plus_plus
from sequal.acquisition.bald import bald
from sequal.acquisition.bald_strategy import BaldStrategy
from sequal.acquisition.coreset import CoresetStrategy, k_centre_greedy
from sequal.acquisition.entropy import entropy
from sequal.acquisition.extras import BALD, EXTRAS, FEATURE_KINDS, FEATURES, FeatureKind, extras_for, parse_extras
from sequal.acquisition.functions import ACQUISITION_FUNCTIONS, LAYER_ENTROPY, PLD, AcquisitionFunction, score_all
from sequal.acquisition.layer_entropy import layer_entropy
from sequal.acquisition.least_confidence import least_confidence
from sequal.acquisition.margin import margin
from sequal.acquisition.pld import PLD_FORMS, PldForm, pseudo_label_divergence
from sequal.acquisition.pld_diverse import PldDiverseStrategy
from sequal.acquisition.power import POWER, power_score
from sequal.acquisition.random import RandomStrategy
from sequal.acquisition.registry import STRATEGIES
from sequal.acquisition.scored import ScoredStrategy
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
