"""A training round: items in, published checkpoint, refined labels and scores out."""

from lib.training.progress import TrainStats
from lib.training.round import RoundReport, round_seed, run_round

__all__ = ["RoundReport", "TrainStats", "round_seed", "run_round"]
