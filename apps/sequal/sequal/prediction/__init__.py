"""From a frame and a pair of networks to probabilities, a mask, scores and a measurement."""

from sequal.prediction.confidence import Confidence, expected_dice
from sequal.prediction.curves import contour_markups
from sequal.prediction.device import choose_device
from sequal.prediction.features import ImageFeatures, image_features
from sequal.prediction.label_check import check_label, learnt_from
from sequal.prediction.loading import LoadedPair, check_fits, check_serves, checkpoint_payload, load_pair
from sequal.prediction.passes import log_probabilities, predict
from sequal.prediction.pool_features import store_features, unfeatured_items
from sequal.prediction.pool_scoring import PoolScores, score_pool, unscored_items
from sequal.prediction.prediction import Prediction, predict_image
from sequal.prediction.quality import Quality, dice_to_expect
from sequal.prediction.review import review_area
from sequal.prediction.scoring import PREDICTED_DICE, groups_of_one_grid, score_items
from sequal.prediction.serving import ServedModel

__all__ = [
    "PREDICTED_DICE",
    "Confidence",
    "ImageFeatures",
    "LoadedPair",
    "PoolScores",
    "Prediction",
    "Quality",
    "ServedModel",
    "check_fits",
    "check_label",
    "check_serves",
    "checkpoint_payload",
    "choose_device",
    "contour_markups",
    "dice_to_expect",
    "expected_dice",
    "groups_of_one_grid",
    "image_features",
    "learnt_from",
    "load_pair",
    "log_probabilities",
    "predict",
    "predict_image",
    "review_area",
    "score_items",
    "score_pool",
    "store_features",
    "unfeatured_items",
    "unscored_items",
]
