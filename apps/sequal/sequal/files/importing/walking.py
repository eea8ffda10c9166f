"""The files of a source."""

import logging
import os
from collections.abc import Collection, Iterator
from pathlib import Path

__all__ = ["subfolder", "walk_files"]

logger = logging.getLogger(__name__)


def walk_files(folder: Path, leave_out: Collection[Path] = ()) -> Iterator[Path]:
    """All files below a folder, sorted by path, without hidden ones and without what lies in `leave_out`.

    Links to folders are followed, each folder once. One that cannot be opened is named in the log, and so is a pipe or
    a device, which nobody can tell the end of.
    """
    seen = {path.resolve() for path in leave_out}
    for place, folders, files in os.walk(folder, followlinks=True, onerror=_log_unreadable):
        seen.add(Path(place).resolve())
        folders[:] = [name for name in sorted(folders) if not name.startswith(".")]
        folders[:] = [name for name in folders if (Path(place) / name).resolve() not in seen]
        yield from (Path(place) / name for name in sorted(files) if _is_a_file(Path(place) / name))


def _is_a_file(path: Path) -> bool:
    if path.name.startswith("."):
        return False
    if path.exists() and not path.is_file():
        logger.warning("%s is left out: it is a pipe or a device, no file.", path)
        return False
    return True  # also a link to nothing, which is named with the files that are no image


def _log_unreadable(error: OSError) -> None:
    logger.warning("A folder is left out, because it cannot be opened: %s", error)


def subfolder(folder: Path, *names: str) -> Path | None:
    """The first subfolder with one of the names, in any case; names are tried in the given order."""
    there = {path.name.lower(): path for path in sorted(folder.iterdir(), reverse=True) if path.is_dir()}
    return next((there[name.lower()] for name in names if name.lower() in there), None)
