"""The wiring of one study: its settings, state and model, shared by every adapter."""

from lib.configs.study import STARTING_WEIGHTS, Study

__all__ = ["STARTING_WEIGHTS", "Study"]
