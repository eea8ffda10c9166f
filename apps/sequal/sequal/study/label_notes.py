"""What the server noted about labels, read without it: the warnings that annotators were given."""

import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

__all__ = ["noted_warnings", "withdrawn_segmentations"]

logger = logging.getLogger(__name__)

#: MONAI Label's list of a study, and the changes since it was written, one a line.
_LIST: Final = "datastore_v2.json"
_CHANGES: Final = "datastore_v2.changes.jsonl"


def noted_warnings(studies: Path) -> dict[str, list[str]]:
    """Warnings about the submitted label of each image that has some, sorted by id.

    Args:
        studies: the studies folder. What cannot be read there is left out and named in the log.
    """
    found: dict[str, list[str]] = {}
    for image, entry in _entries(studies):
        warnings = _warnings(entry)
        found.pop(image, None)
        if warnings:
            found[image] = warnings
    return dict(sorted(found.items()))


def withdrawn_segmentations(studies: Path) -> set[str]:
    """Segmentations of a PACS that no longer count, because their label was taken out of the study.

    Args:
        studies: the folder in which the server keeps what it notes about the PACS.
    """
    found: dict[str, list[str]] = {}
    for image, entry in _entries(studies):
        try:
            found[image] = [str(uid) for uid in entry["image"]["info"].get("withdrawn", [])]
        except (LookupError, TypeError, AttributeError):
            continue
    return {uid for uids in found.values() for uid in uids}


def _entries(studies: Path) -> Iterator[tuple[str, Any]]:
    """Image and what is noted about it; a later entry replaces an earlier one."""
    try:
        listed = json.loads(_text(studies / _LIST) or "{}")
        yield from dict(listed.get("objects", {})).items()
        for line in _text(studies / _CHANGES).splitlines():
            change = json.loads(line)
            yield str(change["image"]), change["entry"]
    # A file that is being written, or was cut by a crash; the server mends it.
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        logger.warning("What is noted about the labels of %s cannot be read to the end: %s", studies, error)


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.is_file() else ""


def _warnings(entry: Any) -> list[str]:  # noqa: ANN401 - JSON
    try:
        return [str(warning) for warning in entry["labels"]["final"]["info"].get("warnings", [])]
    except (LookupError, TypeError, AttributeError):
        return []
