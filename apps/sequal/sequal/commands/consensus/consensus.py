"""`consensus`: several readers' labels to one, with tables of how they differ."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sequal.anatomy.measurement import (
    CONSENSUS_METHODS,
    Reading,
    departures,
    fuse_readers,
    pair_agreement,
)
from sequal.anatomy.model import Model
from sequal.anatomy.models import model_of
from sequal.commands.consensus.readers import Readers, corrections, find_readers, without_bias
from sequal.commands.consensus.result import ConsensusOptions, ConsensusResult, print_result, write_tables
from sequal.commands.console import progress_bar
from sequal.commands.place import StudyPlace, output_folder
from sequal.errors import ImageError, LabelError, SettingsError, StudyError
from sequal.files.imaging import Frame, read_frame, says_no_layer
from sequal.files.imaging.writing import write_on_frame
from sequal.labels import IGNORE

__all__ = ["ConsensusOptions", "ConsensusResult", "consensus_command", "parse_weights"]

_SUFFIX: Final = ".nii.gz"


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
    print_result(result, options, len(readers.files))
    if not result.images:
        raise StudyError(
            "Expected at least one image to get a label, got none. The table above gives the reason for each image."
        )


def _check(options: ConsensusOptions, readers: int, model: Model) -> None:
    if options.method not in CONSENSUS_METHODS:
        raise SettingsError(
            f"Expected `--method` to be one of {', '.join(CONSENSUS_METHODS)}, got {options.method!r}. Name one."
        )
    if (options.method == "weights") != (options.weights is not None):
        raise SettingsError(
            "Expected --weights together with --method weights, got one of the two. Give both or neither."
        )
    if options.weights is not None:
        fuse_readers([np.zeros(1, np.uint8)] * readers, "weights", options.weights)
    if options.remove_bias and not model.is_layer:
        raise SettingsError(
            f"Expected --remove-bias for a layer, which is measured by its thickness, got {model.description}. Leave "
            "it out."
        )


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
