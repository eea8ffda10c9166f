"""What came of a consensus, as files and as tables on the screen."""

import csv
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from sequal.anatomy.measurement import ConsensusMethod, Departure, PairAgreement
from sequal.commands.console import OUT, table
from sequal.errors import StudyError

__all__ = ["ConsensusOptions", "ConsensusResult", "print_result", "write_tables"]


@dataclass(frozen=True)
class ConsensusOptions:
    """How labels become one.

    Attributes:
        out: folder to write to; it must be empty, or not there.
        readers: as `find_readers` takes them.
        method: how pixels are decided.
        weights: of the readers, for `weights`.
        least: readers that an image needs.
        remove_bias: move each reader's boundaries to where all have them on average, before they are fused.
    """

    out: Path
    readers: tuple[str, ...] = ()
    method: ConsensusMethod = "majority"
    weights: tuple[float, ...] | None = None
    least: int = 1
    remove_bias: bool = False


@dataclass
class ConsensusResult:
    """What came of it.

    Attributes:
        pairs: agreement of each pair.
        departures: how each reader departs.
        images: readers, and the part of the pixels that stays unknown, by image that got a label.
        left_out: reason by label or image that could not be used.
    """

    pairs: list[PairAgreement] = field(default_factory=list)
    departures: list[Departure] = field(default_factory=list)
    images: dict[str, dict[str, Any]] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)


def write_tables(out: Path, result: ConsensusResult, options: ConsensusOptions) -> None:
    """Write `consensus.json`, `pairs.csv`, `readers.csv` and `images.csv`.

    Raises:
        StudyError: they cannot be written.
    """
    content = {"method": options.method, "weights": options.weights, "remove_bias": options.remove_bias}
    try:
        (out / "consensus.json").write_text(json.dumps(content | asdict(result), indent=1) + "\n", encoding="utf-8")
        _csv(out / "pairs.csv", [_pair_row(pair) for pair in result.pairs])
        _csv(out / "readers.csv", [_flat(asdict(one)) for one in result.departures])
        rows = [
            {"image": i, "readers": " ".join(v["readers"]), "unknown": v["unknown"]} for i, v in result.images.items()
        ]
        _csv(out / "images.csv", rows)
    except OSError as error:
        raise StudyError(f"Expected `{out}` to be writable, got: {error}. Name another --out.") from error


def _pair_row(pair: PairAgreement) -> dict[str, Any]:
    row = asdict(pair)
    size = row.pop("size") or {}
    names = ("sd", "limits", "bias_interval", "lower_interval", "upper_interval", "mean_absolute_error")
    return row | _flat({name: size.get(name) for name in names})


def _flat(row: Mapping[str, Any]) -> dict[str, Any]:
    """Intervals as two columns."""
    flat: dict[str, Any] = {}
    for name, value in row.items():
        if name == "limits" or name.endswith("interval"):
            flat[f"{name}_low"], flat[f"{name}_high"] = value or (None, None)
        else:
            flat[name] = value
    return flat


def _csv(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]) if rows else ["nothing"])
        writer.writeheader()
        writer.writerows({k: f"{v:.6g}" if isinstance(v, float) else v for k, v in row.items()} for row in rows)


def print_result(result: ConsensusResult, options: ConsensusOptions, readers: int) -> None:
    """Print how the readers differ, what was left out, and where the labels are."""
    if result.pairs:
        columns = ("readers", "structure", "images", "Dice", "difference", "limits of agreement")
        OUT.print(table("Pairs: first minus second", columns, [_pair_cells(pair) for pair in result.pairs]))
        rows = [
            (
                d.reader,
                d.label,
                d.images,
                _length(d.size, d.unit),
                _length(d.li, d.unit),
                _length(d.ma, d.unit),
                d.words,
            )
            for d in result.departures
        ]
        heads = ("reader", "structure", "images", "size", "LI deeper", "MA deeper", "beyond chance")
        OUT.print(table("Readers beside the mean of all", heads, rows))
    else:
        OUT.print("No image has labels of two readers: nothing can be said of how they agree.")
    reasons: dict[str, list[str]] = {}
    for name, reason in result.left_out.items():
        reasons.setdefault(reason, []).append(name)
    if reasons:
        OUT.print(table("Left out", ("labels", "reason"), [(", ".join(names), why) for why, names in reasons.items()]))
    alone = sum(len(image["readers"]) == 1 for image in result.images.values())
    OUT.print(
        f"{len(result.images)} labels of {readers} readers by {options.method} in {options.out / 'labels'}, "
        f"{alone} of them of one reader alone; tables beside them.",
        markup=False,
    )


def _pair_cells(pair: PairAgreement) -> tuple[object, ...]:
    limits = "-" if pair.size is None else f"{pair.size.limits[0]:+.3g} to {pair.size.limits[1]:+.3g} {pair.unit}"
    names = f"{pair.first}, {pair.second}"
    return (names, pair.label, pair.images, pair.dice, _length(pair.difference, pair.unit), limits)


def _length(value: float | None, unit: str) -> str | None:
    return None if value is None else f"{value:+.3g} {unit}"
