"""The finished cells of an experiment that differ in nothing but the seed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

from sequal.experiments.plan import ALL, DEFAULT, FULL, Cell, Plan, Refinement
from sequal.experiments.results import Round
from sequal.experiments.statistics import area_under_curve

__all__ = ["Variant", "variants_of"]


@dataclass(frozen=True)
class Variant:
    """A strategy with refinement on or off, and its finished cells.

    Attributes:
        name: the strategy; with `-off` where it was also played with refinement, and the variant behind it.
        strategy: the strategy.
        refinement: on or off.
        settings: name of the variant of the settings.
        by_seed: rounds by seed, of cells that are finished.
        ends_with_all: whether the last round has every label of the pool, whatever was asked for.
    """

    name: str
    strategy: str
    refinement: Refinement
    settings: str
    by_seed: Mapping[int, Sequence[Round]]
    ends_with_all: bool = False

    @property
    def labels(self) -> list[int]:
        """Labelled images at each round."""
        return [len(entry["labelled"]) for entry in next(iter(self.by_seed.values()))]

    def dice(self, seed: int) -> list[float]:
        """Mean test Dice at each round."""
        return [entry["test"]["mean"]["dice"] for entry in self.by_seed[seed]]

    def area(self, seed: int) -> float:
        """Area under the learning curve of one seed, without the round that has every label of the pool."""
        rounds = self.by_seed[seed]
        rounds = rounds[:-1] if self.ends_with_all and len(rounds) > 1 else rounds
        return area_under_curve([len(entry["labelled"]) for entry in rounds], self.dice(seed)[: len(rounds)])

    def final(self, *keys: str) -> list[float]:
        """A value of the last round, by its path of keys, of every seed that has it."""
        found = []
        for rounds in self.by_seed.values():
            value: Any = rounds[-1]
            for key in keys:
                value = value[key]
            if value is not None:
                found.append(float(value))
        return found


def variants_of(plan: Plan, cells: Mapping[Cell, Sequence[Round]]) -> list[Variant]:
    """Every strategy with at least one finished cell, in the order of the plan, refinement on before off."""
    finished = {
        cell: rounds
        for cell, rounds in cells.items()
        if len(rounds) == len(plan.round_numbers) and cell.strategy != FULL
    }
    found = []
    ends_with_all = bool(plan.labels) and plan.labels[-1] == ALL
    kinds: tuple[Refinement, ...] = ("on", "off")
    for settings, strategy, kind in product((DEFAULT, *plan.variants), plan.strategies, kinds):
        wanted = (strategy, kind, settings)
        seeds = {c.seed: r for c, r in finished.items() if (c.strategy, c.refinement, c.variant) == wanted}
        if seeds:
            name = f"{strategy}-off" if kind == "off" and plan.refinement == "both" else strategy
            found.append(Variant(name if settings == DEFAULT else f"{name}, {settings}", *wanted, seeds, ends_with_all))
    return found
