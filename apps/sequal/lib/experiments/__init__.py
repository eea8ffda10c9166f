"""Simulated active-learning experiments and their report."""

from lib.experiments.experiment import Experiment
from lib.experiments.plan import DEFAULT, FULL, Cell, Plan

__all__ = ["DEFAULT", "FULL", "Cell", "Experiment", "Plan"]
