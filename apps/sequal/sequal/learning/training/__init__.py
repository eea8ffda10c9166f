"""A training round: items in, published checkpoint, refined labels and scores out."""

from sequal.learning.training.prepare import round_seed
from sequal.learning.training.progress import TrainStats
from sequal.learning.training.round import run_round
from sequal.learning.training.round_report import RoundReport

__all__ = ["RoundReport", "TrainStats", "round_seed", "run_round"]
