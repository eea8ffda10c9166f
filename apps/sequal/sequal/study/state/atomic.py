"""Files that are there whole or not at all: written beside their place, then renamed."""

import logging
import os
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

__all__ = ["atomic_write", "create_once", "remove_abandoned"]

logger = logging.getLogger(__name__)

_SUFFIX = ".tmp"
_ABANDONED_S = 24 * 3600


@contextmanager
def atomic_write(path: Path) -> Iterator[IO[bytes]]:
    """Open a temporary file beside `path`; it takes the place of `path` when the block ends without an error.

    The data reaches the disk (fsync) before the rename, the rename before the return, so that a crash or a
    full disk leaves either the old file or the new one. After the rename there is no error any more.

    Args:
        path: where the file shall be; its folder exists.

    Yields:
        The temporary file, open for binary writing.

    Raises:
        OSError: the file cannot be written; `path` is as it was and the temporary file is gone.
    """
    temporary = _temporary(path)
    try:
        with temporary.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    try:
        _sync_folder(path.parent)
    except OSError as error:  # the new file is in its place: to report it as unwritten would be wrong
        logger.warning("Cannot make the rename of %s last through a power failure: %s", path, error)


def create_once(path: Path, content: bytes) -> bytes:
    """Write `content` to `path` unless the file exists; of several writers one wins, and all read that.

    Args:
        path: where the file shall be; its folder exists.
        content: what to write.

    Returns:
        What `path` holds now: `content`, or what another wrote before.

    Raises:
        OSError: the file can be neither written nor read.
    """
    temporary = _temporary(path)
    try:
        with temporary.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        _link(temporary, path)
        _sync_folder(path.parent)
    finally:
        temporary.unlink(missing_ok=True)
    return path.read_bytes()


def remove_abandoned(folder: Path, now: float | None = None) -> None:
    """Delete temporary files that a killed process left in a folder more than a day ago.

    Args:
        folder: where to look; not below it.
        now: time of the call, seconds since the epoch (UTC).
    """
    limit = (time.time() if now is None else now) - _ABANDONED_S
    for path in folder.glob(f".*{_SUFFIX}"):
        with suppress(OSError):  # its writer may be finishing it, and a file that stays does no harm
            if path.stat().st_mtime < limit:
                path.unlink()


def _temporary(path: Path) -> Path:
    # A short name: the final one may already be as long as the file system allows.
    return path.with_name(f".{uuid.uuid4().hex}{_SUFFIX}")


def _link(temporary: Path, path: Path) -> None:
    try:
        os.link(temporary, path)
    except FileExistsError:
        return
    except OSError:
        # No hard links here (exFAT, some network mounts): two first writers in the same instant are not told
        # apart.
        if not path.exists():
            os.replace(temporary, path)


def _sync_folder(folder: Path) -> None:
    if os.name != "posix":  # Windows cannot open a folder, and renames durably
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
