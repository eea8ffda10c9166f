"""The wiring of one study: its settings, state and model, shared by every adapter; how errors reach a client."""

from lib.configs.refusal import not_found, refusal
from lib.configs.study import STARTING_WEIGHTS, Study

__all__ = ["STARTING_WEIGHTS", "Study", "not_found", "refusal"]
