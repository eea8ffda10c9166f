"""`consensus`: several readers' labels to one, with tables of how they differ."""

import csv
import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import combinations
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from sequal.anatomy.measurement import (
    CONSENSUS_METHODS,
    ConsensusMethod,
    Departure,
    PairAgreement,
    Reading,
    departures,
    fuse_readers,
    pair_agreement,
)
from sequal.anatomy.model import Model
from sequal.anatomy.models import model_of
from sequal.commands.consensus.readers import Readers, corrections, find_readers, without_bias
from sequal.commands.console import OUT, progress_bar, table
from sequal.commands.place import StudyPlace, output_folder
from sequal.errors import ImageError, LabelError, SettingsError, StudyError
from sequal.files.imaging import Frame, read_frame, says_no_layer
from sequal.files.imaging.writing import write_on_frame
from sequal.labels import IGNORE

__all__ = ["ConsensusOptions", "ConsensusResult", "consensus_command", "parse_weights"]

_SUFFIX: Final = ".nii.gz"


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


def parse_weights(text: str | None) -> tuple[float, ...] | None:
    """The value of `--weights`.

    Raises:
        SettingsError: it is no list of numbers.

    >>> parse_weights("0.5,0.3,0.2")
    (0.5, 0.3, 0.2)
    """
    if text is None:
        return None
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError as error:
        raise SettingsError(
            f"Expected `--weights` to be numbers with commas between them, got {text!r}. Write for example "
            "--weights 0.5,0.3,0.2."
        ) from error


def consensus_command(place: StudyPlace, options: ConsensusOptions) -> None:
    """Fuse the labels of a study's readers with a progress bar, and print how they differ.

    Args:
        place: the study.
        options: of the consensus.

    Raises:
        SettingsError: readers, method or weights do not fit each other, or there are fewer than two readers.
        StudyError: the folder cannot be written or holds something, or no image got a label.
    """
    model = model_of(place.settings)
    readers = find_readers(place.files.folder, options.readers)
    _check(options, len(readers.files), model)
    images = {image: file for image, file in place.files.images.items() if _read_by(readers, image)}
    if not images:
        raise StudyError(
            f"Expected the readers' labels to be named as images of `{place.files.folder}`, got none that is. "
            "Name each label as its image, with .nii.gz."
        )
    if options.out.exists() and (not options.out.is_dir() or any(options.out.iterdir())):
        raise StudyError(
            f"Expected `{options.out}` to be an empty folder or none, got one that holds something. Nothing is ever "
            "overwritten: name another --out."
        )
    with progress_bar() as bar:
        task = bar.add_task("Comparing", total=2 * len(images))
        result = _run(images, readers, model, options, lambda: bar.update(task, advance=1))
    write_tables(options.out, result, options)
    _print(result, options, len(readers.files))
    if not result.images:
        raise StudyError("Expected at least one image to get a label, got none. The table says why.")


def _check(options: ConsensusOptions, readers: int, model: Model) -> None:
    if options.method not in CONSENSUS_METHODS:
        raise SettingsError(
            f"Expected `--method` to be one of {', '.join(CONSENSUS_METHODS)}, got {options.method!r}. Name one."
        )
    if (options.method == "weights") != (options.weights is not None):
        raise SettingsError("Expected --weights with --method weights, and with no other. Give both or neither.")
    if options.weights is not None:
        fuse_readers([np.zeros(1, np.uint8)] * readers, "weights", options.weights)
    if options.remove_bias and model.spatial_dims != 2:
        raise SettingsError("Expected --remove-bias for a layer in frames, got volumes. Leave it out.")


def _read_by(readers: Readers, image: str) -> list[str]:
    return [reader for reader, files in readers.files.items() if image in files]


def _run(
    images: Mapping[str, Path], readers: Readers, model: Model, options: ConsensusOptions, step: Callable[[], object]
) -> ConsensusResult:
    result, readings = ConsensusResult(), []
    for image, file in images.items():
        opened = _open(image, file, readers, model, result.left_out)
        if opened is not None:
            readings += _compare(image, *opened, model)
        step()
    result.pairs, result.departures = pair_agreement(readings), departures(readings)
    moved = corrections(result.departures) if options.remove_bias else {}
    folder = output_folder(options.out / "labels")
    for image, file in images.items():
        opened = _open(image, file, readers, model, {})
        if opened is not None:
            frame, labels = opened
            if moved:
                labels = {
                    reader: without_bias(label, moved.get(reader, {}), frame, _rng(image, reader))
                    for reader, label in labels.items()
                }
            try:
                fused = _fuse(labels, list(readers.files), options)
                write_on_frame(folder / f"{image}{_SUFFIX}", fused, frame)
            except LabelError as error:
                result.left_out[image] = str(error)
            except OSError as error:
                raise StudyError(f"Expected `{folder}` to be writable, got: {error}. Free some space.") from error
            else:
                result.images[image] = {"readers": list(labels), "unknown": float((fused == IGNORE).mean())}
        step()
    return result


def _open(
    image: str, file: Path, readers: Readers, model: Model, left_out: dict[str, str]
) -> tuple[Frame, dict[str, NDArray[np.uint8]]] | None:
    try:
        frame = read_frame(file)
    except ImageError as error:
        left_out[image] = str(error)
        return None
    labels, unusable = readers.read(image, frame, model)
    left_out.update({f"{image}, {reader}": why for reader, why in unusable.items()})
    return (frame, labels) if labels else None


def _compare(image: str, frame: Frame, labels: Mapping[str, NDArray[np.uint8]], model: Model) -> list[Reading]:
    return [
        Reading(image, first, second, compared)
        for first, second in combinations(labels, 2)
        for compared in model.compare(labels[first], labels[second], frame)
    ]


def _fuse(
    labels: Mapping[str, NDArray[np.uint8]], readers: Sequence[str], options: ConsensusOptions
) -> NDArray[np.uint8]:
    """One label of an image.

    Raises:
        LabelError: too few readers, or they contradict each other so that nothing can be learnt from the result.
    """
    if len(labels) < options.least:
        raise LabelError(f"Expected labels of {options.least} readers, got {', '.join(labels)} alone. Lower --least.")
    weights = options.weights and [options.weights[readers.index(reader)] for reader in labels]
    fused = fuse_readers(list(labels.values()), options.method, weights)
    if not says_no_layer(fused) and not ((fused != 0) & (fused != IGNORE)).any():
        raise LabelError(
            f"Expected the readers {', '.join(labels)} to agree on some pixels of a structure, got none. Let them look "
            "at this image together, or weigh them by --method weights."
        )
    return fused


def _rng(image: str, reader: str) -> np.random.Generator:
    digest = hashlib.sha256(f"{image}\n{reader}".encode()).digest()
    return np.random.default_rng(np.frombuffer(digest[:16], dtype=np.uint32))


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


def _print(result: ConsensusResult, options: ConsensusOptions, readers: int) -> None:
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
