"""Checkpoints: the networks of a method in one file of plain tensors, written atomically."""

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

__all__ = ["FORMAT", "Checkpoint", "Member", "file_digest", "load_checkpoint", "prune", "publish", "save_checkpoint"]

logger = logging.getLogger(__name__)

FORMAT = 2
_REQUIRED = ("format", "model", "method", "members", "meta")
#: What a checkpoint of format 1 was, before there was a choice: one architecture, student and teacher.
_FIRST_FORMAT = ("architecture", "student", "teacher", "meta")


@dataclass(frozen=True)
class Member:
    """One network of a checkpoint.

    Attributes:
        architecture: `{"name": str, "kwargs": dict}` for the network registry.
        weights: its state dict, on the CPU.
    """

    architecture: dict[str, Any]
    weights: dict[str, Tensor]


@dataclass(frozen=True)
class Checkpoint:
    """What a checkpoint file holds, tensors on the CPU.

    Attributes:
        model: name of what is segmented.
        method: name of the method whose networks these are.
        members: the networks by the names that the method has for them.
        query_pair: the networks `{"reference": …, "other": …}` that PLD compares, where they are not members.
        branch: the error branch of what is shown (S3); None: there is none.
        meta: plain values: `iterations` (over the life of the networks), `round`, `created`, `settings`, ….
        digest: digest of the file.
    """

    model: str
    method: str
    members: dict[str, Member]
    query_pair: dict[str, Member] | None
    branch: Member | None
    meta: dict[str, Any]
    digest: str

    @property
    def networks(self) -> list[str]:
        """Names of the architectures of its members."""
        return [str(member.architecture["name"]) for member in self.members.values()]


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
        payload: `{"format": 2, "model", "method", "members": {name: {"architecture", "weights"}}, "meta"}`, optionally
            `"query_pair"`, of the form of the members, and `"branch"`, of the form of a member; see `Checkpoint`.

    Returns:
        The digest of the file.

    Raises:
        CheckpointError: the payload lacks a part or holds more than tensors and plain values.
        PublishError: the file cannot be written (a full disk, say); `path` is as it was.
    """
    _check_payload(path, payload)
    _check_plain(path, "meta", payload["meta"])
    for name, member in payload["members"].items():
        _check_plain(path, f"members.{name}.architecture", member["architecture"])
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(path) as file:
            torch.save(dict(payload), file)
        return file_digest(path)
    except (OSError, RuntimeError) as error:  # torch reports a failed write of its archive as RuntimeError
        raise _unwritten(path, error) from error


def load_checkpoint(path: Path) -> Checkpoint:
    """Read a checkpoint, also one of an older format, without running any code that it may carry.

    Args:
        path: file as `save_checkpoint` wrote it.

    Raises:
        CheckpointError: the file is missing, truncated, pickled code, or lacks a part.
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
    if isinstance(payload, Mapping) and payload.get("format") == 1:
        payload = _from_first_format(path, payload)
    _check_payload(path, payload)
    pair, branch = payload.get("query_pair"), payload.get("branch")
    return Checkpoint(
        payload["model"],
        payload["method"],
        _members(payload["members"]),
        None if pair is None else _members(pair),
        None if branch is None else _member(branch),
        payload["meta"],
        digest,
    )


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


def _from_first_format(path: Path, payload: Mapping[str, Any]) -> dict[str, Any]:
    """The same as a payload of today."""
    _check_parts(path, payload, _FIRST_FORMAT)
    architecture = payload["architecture"]

    def member(weights: object) -> dict[str, Any]:
        return {"architecture": architecture, "weights": weights}

    pair = payload.get("query_pair")
    if pair is not None:
        _check_query_pair(path, pair)
        pair = {name: member(weights) for name, weights in pair.items()}
    members = {name: member(payload[name]) for name in ("teacher", "student")}
    return {
        "format": FORMAT,
        "model": "carotid",
        "method": "sequal",
        "members": members,
        "query_pair": pair,
        "meta": payload["meta"],
    }


def _members(found: Mapping[str, Any]) -> dict[str, Member]:
    return {name: _member(member) for name, member in found.items()}


def _member(found: Mapping[str, Any]) -> Member:
    return Member(found["architecture"], found["weights"])


def _check_parts(path: Path, payload: object, required: Collection[str]) -> None:
    missing = [key for key in required if key not in payload] if isinstance(payload, Mapping) else list(required)
    if missing:
        raise CheckpointError(
            f"Expected `{path}` to be a checkpoint of this app, got a file without {', '.join(missing)}. "
            "Use one that this app wrote."
        )


def _check_payload(path: Path, payload: Any) -> None:  # noqa: ANN401 - whatever a file holds
    _check_parts(path, payload, _REQUIRED)
    if payload["format"] != FORMAT:
        raise CheckpointError(
            f"Expected `{path}` to have format {FORMAT}, got {payload['format']!r}. Use a matching version of the app."
        )
    for part in ("model", "method"):
        if not isinstance(payload[part], str):
            raise CheckpointError(
                f"Expected the {part} of `{path}` to be a name, got {payload[part]!r}. Use another file."
            )
    if not isinstance(payload["members"], Mapping) or not payload["members"]:
        raise CheckpointError(f"Expected `{path}` to hold networks by name, got none. Use another file.")
    pair = payload.get("query_pair")
    if pair is not None:
        _check_query_pair(path, pair)
    branch = {} if payload.get("branch") is None else {"branch": payload["branch"]}
    for name, member in {**payload["members"], **(pair or {}), **branch}.items():
        _check_member(path, name, member)
    if not isinstance(payload["meta"], Mapping):
        raise CheckpointError(
            f"Expected the meta data of `{path}` to be a table of values, got something else. Use another file."
        )


def _check_query_pair(path: Path, pair: object) -> None:
    if not isinstance(pair, Mapping) or pair.keys() != {"reference", "other"}:
        raise CheckpointError(f"Expected the query pair of `{path}` to be two networks, got others. Use another file.")


def _check_member(path: Path, name: str, member: object) -> None:
    if not isinstance(member, Mapping) or not {"architecture", "weights"} <= member.keys():
        raise CheckpointError(
            f"Expected the {name} of `{path}` to have an architecture and weights, got another form. Use another file."
        )
    architecture, weights = member["architecture"], member["weights"]
    if not isinstance(architecture, Mapping) or not {"name", "kwargs"} <= architecture.keys():
        raise CheckpointError(f"Expected `{path}` to name its architecture, got {architecture!r}. Use another file.")
    if not isinstance(weights, Mapping) or not all(isinstance(value, Tensor) for value in weights.values()):
        raise CheckpointError(
            f"Expected the {name} of `{path}` to be tensors by name, got something else. Use another file."
        )


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
