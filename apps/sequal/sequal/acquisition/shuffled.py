"""A random order of which only the beginning is needed."""

from collections.abc import Iterator, Sequence
from typing import TypeVar

import numpy as np

__all__ = ["shuffled"]

_Item = TypeVar("_Item")


def shuffled(items: Sequence[_Item], rng: np.random.Generator) -> Iterator[_Item]:
    """The items in random order, every order as likely, drawn as they are asked for (Fisher & Yates).

    Args:
        items: may lose items meanwhile; what is gone is left out.
        rng: source of the draws.

    Yields:
        Each item once. The first costs the same, however many there are.

    >>> sorted(shuffled("abc", np.random.default_rng(0)))
    ['a', 'b', 'c']
    """
    moved: dict[int, int] = {}  # what stands at an index, where it is not the index itself
    for last in range(len(items) - 1, -1, -1):
        drawn = int(rng.integers(last + 1))
        index = moved.get(drawn, drawn)
        moved[drawn] = moved.pop(last, last)
        if index < len(items):
            yield items[index]
