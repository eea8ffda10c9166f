"""A training round: items in, published checkpoint, refined labels and scores out."""

from lib.training.progress import TrainStats
from lib.training.round import round_seed, run_round
from lib.training.round_report import RoundReport

__all__ = ["RoundReport", "TrainStats", "round_seed", "run_round"]
