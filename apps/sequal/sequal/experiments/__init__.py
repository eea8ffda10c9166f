"""Simulated active-learning experiments and their report."""

from sequal.experiments.experiment import Experiment
from sequal.experiments.plan import DEFAULT, FULL, Cell, Plan

__all__ = ["DEFAULT", "FULL", "Cell", "Experiment", "Plan"]
