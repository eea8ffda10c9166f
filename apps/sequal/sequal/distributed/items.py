"""A list of items divided among the processes, with the results in the order of the list."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Final, TypeVar

import torch.distributed as dist

from sequal.distributed.processes import alone, together

__all__ = ["spread"]

#: Items that a process takes at a time: as many as go through a network together.
_AT_ONCE: Final = 4

Item = TypeVar("Item")
Result = TypeVar("Result")


def spread(work: Callable[..., Iterable[Result]], items: Sequence[Item], *context: object) -> Iterator[Result]:
    """What `work(items, *context)` gives, where other processes help each for a part of the items.

    Args:
        work: a function of a module, which goes through items one after the other; each item's results depend on no
            other item.
        items: in the order in which the results are wanted.
        context: further arguments, see `together`.

    Returns:
        The results in order; without helpers each as soon as it is found, else those of some items at a time.
    """
    if alone():
        yield from work(items, *context)
        return
    with together(_assist, work, items, context):
        for found in _rounds(work, items, context):
            yield from found


def _assist(work: Callable[..., Iterable[Any]], items: Sequence[Any], context: tuple[object, ...]) -> None:
    for _ in _rounds(work, items, context):
        pass


def _rounds(
    work: Callable[..., Iterable[Any]], items: Sequence[Any], context: tuple[object, ...]
) -> Iterator[list[Any]]:
    """The results of as many items as all processes take at a time; in the first process those of all."""
    rank, processes = dist.get_rank(), dist.get_world_size()
    for start in range(0, len(items), _AT_ONCE * processes):
        begin = start + rank * _AT_ONCE
        found = list(work(items[begin : begin + _AT_ONCE], *context))
        parts: list[list[Any]] | None = [[] for _ in range(processes)] if rank == 0 else None
        dist.gather_object(found, parts)
        yield [result for part in parts or () for result in part]
