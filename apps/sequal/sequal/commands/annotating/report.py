"""What a play leaves behind: a row a round, and one JSON file of everything."""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from sequal.commands.annotating.evaluation import NOTHING_SEEN, Evaluation
from sequal.commands.annotating.play import Play, PlayedRound
from sequal.errors import StudyError

__all__ = ["columns", "play_as_json", "round_row", "start_row", "write_json"]

_COLUMNS: Final = ("round", "labels", "Dice on labels", "used", "filled in", "test Dice", "failed")

Row = tuple[object, ...]


def columns(*, of_a_layer: bool) -> tuple[str, ...]:
    """Names of what a row holds."""
    return (*_COLUMNS, "IMT bias mm" if of_a_layer else "volume error ml", "time s")


def start_row(labels: int, before: Evaluation) -> Row:
    """The row of the model that was in service at the start."""
    served = "no" if before is NOTHING_SEEN else "yes"
    return ("start", labels, None, served, None, _three(before.dice), before.failures, _size(before), None)


def round_row(number: int, played: PlayedRound) -> Row:
    """The row of a round, under `columns`."""
    stats = played.stats
    refinement = stats.get("refinement") or {}
    return (
        number,
        played.labels,
        _three(stats.get("best_metric")),
        "yes" if stats.get("published") else "no",
        refinement.get("images"),
        _three(played.evaluation.dice),
        played.evaluation.failures,
        _size(played.evaluation),
        round(played.seconds),
    )


def _size(evaluation: Evaluation) -> float | None:
    return _three(evaluation.imt_bias_mm if evaluation.volume_error_ml is None else evaluation.volume_error_ml)


def _three(value: float | None) -> float | None:
    """Three decimals: the columns of a table of 80 characters have room for no more."""
    return None if value is None else round(value, 3)


def play_as_json(result: Play, how: Mapping[str, Any]) -> dict[str, Any]:
    """Everything about a play but its pictures.

    Args:
        result: the play.
        how: server, expert, options and so on, as plain values.
    """
    return {
        **how,
        "test_images": [image.id for image in result.test],
        "start": {"labels": result.labels_before, "evaluation": result.before.as_json()},
        "rounds": [
            {
                "round": played.round,
                "labels": played.labels,
                "answers": [
                    {"image": a.image, "score": a.score, "reason": a.reason, "auto_dice": a.auto_dice}
                    for a in played.answers
                ],
                "stats": dict(played.stats),
                "evaluation": played.evaluation.as_json(),
                "seconds": played.seconds,
            }
            for played in result.rounds
        ],
    }


def write_json(path: Path, values: Mapping[str, Any]) -> None:
    """Write a play; NaN becomes null.

    Raises:
        StudyError: the file cannot be written.
    """
    try:
        path.write_text(json.dumps(_finite(values), indent=1, allow_nan=False) + "\n")
    except OSError as error:
        raise StudyError(f"Expected `{path}` to be writable, got: {error}. Name another --out.") from error


def _finite(value: Any) -> Any:  # noqa: ANN401 - any JSON value
    if isinstance(value, Mapping):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
