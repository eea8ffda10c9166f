"""Checkpoints: both networks of the pair in one file of plain tensors, written atomically."""

import hashlib
import logging
import pickle
import shutil
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from sequal.errors import CheckpointError, DamagedCheckpointError, PublishError
from sequal.study.state.atomic import atomic_write

__all__ = ["FORMAT", "Checkpoint", "file_digest", "load_checkpoint", "prune", "publish", "save_checkpoint"]

logger = logging.getLogger(__name__)

FORMAT = 1
_REQUIRED = ("format", "architecture", "student", "teacher", "meta")


@dataclass(frozen=True)
class Checkpoint:
    """What a checkpoint file holds, tensors on the CPU.

    Attributes:
        architecture: `{"name": str, "kwargs": dict}` for the network registry.
        student: state dict of the student.
        teacher: state dict of the teacher, the same keys.
        query_pair: state dicts `{"reference": …, "other": …}` of the pair that PLD compares, where it is not
            teacher and student.
        meta: plain values: `iterations` (over the life of the pair), `round`, `created`, `settings`, ….
        digest: digest of the file.
    """

    architecture: dict[str, Any]
    student: dict[str, Tensor]
    teacher: dict[str, Tensor]
    query_pair: dict[str, dict[str, Tensor]] | None
    meta: dict[str, Any]
    digest: str


def file_digest(path: Path) -> str:
    """First 16 hexadecimal characters of a file's SHA-256.

    Raises:
        OSError: the file cannot be read.
    """
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:16]


def save_checkpoint(path: Path, payload: Mapping[str, Any]) -> str:
    """Write a checkpoint; the old file stays until the new one is on the disk.

    Args:
        path: file to write; its folder is made.
        payload: `{"format": 1, "architecture": {"name", "kwargs"}, "student", "teacher", "meta"}`, optionally
            `"query_pair"`; see `Checkpoint`.

    Returns:
        The digest of the file.

    Raises:
        CheckpointError: the payload lacks a part or holds more than tensors and plain values.
        PublishError: the file cannot be written (a full disk, say); `path` is as it was.
    """
    _check_payload(path, payload)
    for part in ("architecture", "meta"):
        _check_plain(path, part, payload[part])
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(path) as file:
            torch.save(dict(payload), file)
        return file_digest(path)
    except (OSError, RuntimeError) as error:  # torch reports a failed write of its archive as RuntimeError
        raise _unwritten(path, error) from error


def load_checkpoint(path: Path, architecture: str | None = None) -> Checkpoint:
    """Read a checkpoint without running any code that it may carry.

    Args:
        path: file as `save_checkpoint` wrote it.
        architecture: name that the checkpoint's architecture must have; None accepts any.

    Raises:
        CheckpointError: the file is missing, truncated, pickled code, lacks a part, or is of another
            architecture.
    """
    try:
        payload = torch.load(path, map_location="cpu", weights_only=True)
        digest = file_digest(path)
    except FileNotFoundError as error:
        raise CheckpointError(f"Expected `{path}` to be a checkpoint, got no file. Train or pretrain first.") from error
    except pickle.UnpicklingError as error:
        raise _unsafe(path) if _is_archive(path) else _damaged(path, error) from error
    except (OSError, RuntimeError, EOFError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise _damaged(path, error) from error
    _check_payload(path, payload)
    name = payload["architecture"]["name"]
    if architecture not in (None, name):
        raise CheckpointError(
            f"Expected `{path}` to hold a {architecture}, got a {name}. Set `network` to {name}, or begin a new state."
        )
    parts = ("architecture", "student", "teacher", "meta")
    return Checkpoint(**{part: payload[part] for part in parts}, query_pair=payload.get("query_pair"), digest=digest)


def publish(source: Path, published: Path) -> None:
    """Make a copy of a checkpoint the published one, atomically; the same bytes, so the same digest.

    Raises:
        PublishError: it cannot be copied; `published` is as it was.
    """
    try:
        with source.open("rb") as old, atomic_write(published) as new:
            shutil.copyfileobj(old, new)
    except OSError as error:
        raise _unwritten(published, error) from error


def prune(folder: Path, keep: int, protected: Collection[Path] = ()) -> list[Path]:
    """Delete all but the newest checkpoints of a folder.

    Args:
        folder: where checkpoints (`*.pt`) lie.
        keep: how many of the newest stay.
        protected: files that stay in any case, not counted.

    Returns:
        The deleted checkpoints, oldest first. A file that cannot be deleted is logged and left.
    """
    spared = {path.resolve() for path in protected}
    found = [path for path in folder.glob("*.pt") if path.resolve() not in spared]
    by_age = sorted(found, key=lambda path: (path.stat().st_mtime_ns, path.name))
    deleted = by_age[: max(0, len(by_age) - keep)]
    for path in deleted:
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            logger.warning("Cannot delete the old checkpoint %s: %s", path, error)
    return [path for path in deleted if not path.exists()]


def _check_payload(path: Path, payload: object) -> None:
    missing = [key for key in _REQUIRED if key not in payload] if isinstance(payload, Mapping) else list(_REQUIRED)
    if missing or not isinstance(payload, Mapping):
        raise CheckpointError(
            f"Expected `{path}` to be a checkpoint of this app, got a file without {', '.join(missing)}. "
            "Use one that this app wrote."
        )
    if payload["format"] != FORMAT:
        raise CheckpointError(
            f"Expected `{path}` to have format {FORMAT}, got {payload['format']!r}. Use a matching version of the app."
        )
    architecture = payload["architecture"]
    if not isinstance(architecture, Mapping) or not {"name", "kwargs"} <= architecture.keys():
        raise CheckpointError(f"Expected `{path}` to name its architecture, got {architecture!r}. Use another file.")
    _check_pair(path, payload)


def _check_pair(path: Path, payload: Mapping[str, Any]) -> None:
    pair = payload.get("query_pair")
    if pair is not None and (not isinstance(pair, Mapping) or pair.keys() != {"reference", "other"}):
        raise CheckpointError(f"Expected the query pair of `{path}` to be reference and other. Use another file.")
    weights = {"student": payload["student"], "teacher": payload["teacher"], **(pair or {})}
    for name, state in weights.items():
        if not isinstance(state, Mapping) or not all(isinstance(value, Tensor) for value in state.values()):
            raise CheckpointError(f"Expected the {name} of `{path}` to be tensors by name. Use another file.")
        if state.keys() != payload["student"].keys():
            raise CheckpointError(f"Expected student and {name} of `{path}` to be the same network. Use another file.")
    if not isinstance(payload["meta"], Mapping):
        raise CheckpointError(f"Expected the meta data of `{path}` to be a table of values. Use another file.")


def _check_plain(path: Path, where: str, value: object) -> None:
    """Refuse what `load_checkpoint` would refuse, before it takes the place of a good checkpoint."""
    if isinstance(value, dict):
        for key, item in value.items():
            _check_plain(path, f"{where}.{key}", item)
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            _check_plain(path, f"{where}.{index}", item)
    # Exactly these types: a numpy scalar is a float as well, and is pickled as code.
    elif value is not None and type(value) not in (str, int, float, bool):
        raise CheckpointError(
            f"Expected `{where}` of `{path}` to be a plain value, got {type(value).__name__}. Convert it first."
        )


def _unwritten(path: Path, error: Exception) -> PublishError:
    return PublishError(
        f"Expected `{path}` to be writable, got: {error}. Free space on the disk and train again; what was "
        "published before is untouched."
    )


def _damaged(path: Path, error: Exception) -> DamagedCheckpointError:
    first_line = str(error).splitlines()[0] if str(error) else type(error).__name__
    return DamagedCheckpointError(
        f"Expected `{path}` to be a checkpoint, got a damaged file: {first_line}. Use another file."
    )


def _is_archive(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(4) == b"PK\x03\x04"


def _unsafe(path: Path) -> CheckpointError:
    return CheckpointError(
        f"Expected `{path}` to hold plain tensors, got pickled objects that could run code; they were not "
        "run. Use a checkpoint that this app wrote."
    )
