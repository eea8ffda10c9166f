"""Simulated active-learning experiments and their report."""

from lib.experiments.experiment import Experiment
from lib.experiments.plan import FULL, Cell, Plan

__all__ = ["FULL", "Cell", "Experiment", "Plan"]
