"""Self-refinement of noisy labels: when to do it (trigger) and how (fusion)."""

from sequal.learning.refinement.fusion import FusionResult, fuse
from sequal.learning.refinement.trigger import EarlyLearningFit, early_learning_over, fit_early_learning, paper_trigger

__all__ = [
    "EarlyLearningFit",
    "FusionResult",
    "early_learning_over",
    "fit_early_learning",
    "fuse",
    "paper_trigger",
]
