"""From a frame and a pair of networks to probabilities, a mask, scores and a measurement."""

from lib.inference.device import choose_device
from lib.inference.loading import LoadedPair, load_pair
from lib.inference.pair import PairPrediction, predict_pair
from lib.inference.prediction import Prediction, predict_frame
from lib.inference.scoring import score_items
from lib.inference.serving import ServedModel

__all__ = [
    "LoadedPair",
    "PairPrediction",
    "Prediction",
    "ServedModel",
    "choose_device",
    "load_pair",
    "predict_frame",
    "predict_pair",
    "score_items",
]
