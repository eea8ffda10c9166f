"""From a frame and a pair of networks to probabilities, a mask, scores and a measurement."""

from lib.inference.confidence import Confidence, expected_dice
from lib.inference.curves import contour_markups
from lib.inference.device import choose_device
from lib.inference.features import ImageFeatures, image_features
from lib.inference.loading import LoadedPair, load_pair
from lib.inference.pair import PairPrediction, log_probabilities, predict_pair, predict_probability
from lib.inference.pool_features import store_features, unfeatured_items
from lib.inference.pool_scoring import PoolScores, score_pool, unscored_items
from lib.inference.prediction import Prediction, predict_frame, without_mistakes
from lib.inference.scoring import groups_of_one_grid, score_items
from lib.inference.serving import ServedModel

__all__ = [
    "Confidence",
    "ImageFeatures",
    "LoadedPair",
    "PairPrediction",
    "PoolScores",
    "Prediction",
    "ServedModel",
    "choose_device",
    "contour_markups",
    "expected_dice",
    "groups_of_one_grid",
    "image_features",
    "load_pair",
    "log_probabilities",
    "predict_frame",
    "predict_pair",
    "predict_probability",
    "score_items",
    "score_pool",
    "store_features",
    "unfeatured_items",
    "unscored_items",
    "without_mistakes",
]
