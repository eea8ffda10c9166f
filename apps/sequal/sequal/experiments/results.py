"""The finished rounds of an experiment, read from their JSON files."""

import json
from pathlib import Path
from typing import Any, Final

from sequal.errors import StudyError
from sequal.experiments.plan import Cell, Plan

__all__ = ["FORMAT", "Round", "read_cells"]

#: Of a round's file. 2: the means over the test images leave those without a layer out.
FORMAT: Final = 2

#: One round as `cell.py` writes it.
Round = dict[str, Any]


def read_cells(folder: Path, plan: Plan) -> dict[Cell, list[Round]]:
    """Finished rounds of every cell that has one, in order.

    Args:
        folder: the experiment's.
        plan: its options.

    Raises:
        StudyError: a file is damaged, or a round is missing between others.
    """
    found: dict[Cell, list[Round]] = {}
    for cell in plan.cells():
        paths = sorted((folder / "cells" / cell.name).glob("round-*.json"))
        rounds = [_read(path) for path in paths]
        numbers = [entry["round"] for entry in rounds]
        first = plan.round_numbers[0]
        if numbers != list(range(first, first + len(rounds))):
            raise StudyError(
                f"Expected the rounds of {cell.name} to be numbered from {first} without a gap, got {numbers}. "
                "Restore the missing file."
            )
        if rounds:
            found[cell] = rounds
    return found


def _read(path: Path) -> Round:
    try:
        record: Round = json.loads(path.read_bytes())
        _ = record["round"], record["test"]["mean"]["dice"], record["labelled"]
        if record["format"] != FORMAT:
            raise StudyError(
                f"Expected `{path}` to be of format {FORMAT}, got {record['format']!r}. "
                "Play the experiment again in a new folder, or use the version of the app that played it."
            )
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise StudyError(f"Expected `{path}` to be a finished round, got: {error}. Restore it from a copy.") from error
    return record
