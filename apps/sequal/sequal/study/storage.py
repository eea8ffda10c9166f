"""When a disk does not take what is to be written: full, read-only, or over its quota."""

import errno
import os
import sqlite3
from pathlib import Path
from typing import Final

__all__ = ["is_storage_problem", "is_writable", "storage_problem"]

_CODES: Final = frozenset(
    {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO, errno.EFBIG, errno.EMFILE}
)
_SQLITE_CODES: Final = frozenset(
    {sqlite3.SQLITE_FULL, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN}
)


def storage_problem(error: BaseException | None) -> BaseException | None:
    """The error, or the first of its causes, that says that a disk did not take what was to be written.

    Args:
        error: any error; None has no cause.

    Returns:
        An `OSError` (full, read-only, over its quota, not allowed) or SQLite's own, or None.

    >>> storage_problem(OSError(errno.ENOSPC, "No space left on device"))
    OSError(28, 'No space left on device')
    >>> storage_problem(FileNotFoundError()) is None
    True
    """
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        if isinstance(error, OSError) and error.errno in _CODES:
            return error
        if isinstance(error, sqlite3.Error) and getattr(error, "sqlite_errorcode", 0) & 0xFF in _SQLITE_CODES:
            return error
        original = getattr(error, "orig", None)  # SQLAlchemy keeps the driver's error there
        error = original if isinstance(original, BaseException) else error.__cause__ or error.__context__
    return None


def is_storage_problem(error: BaseException) -> bool:
    """Whether an error, or one of its causes, is a disk that did not take what was to be written."""
    return storage_problem(error) is not None


def is_writable(folder: Path) -> bool:
    """Whether this process may write into a folder; a missing one counts by the folder that it would be made in.

    >>> is_writable(Path("/proc/nothing"))
    False
    """
    place = folder
    while not place.exists() and place != place.parent:
        place = place.parent
    # The kernel says no for a read-only mount, to the superuser as well; what no mode tells (/proc) has to be tried.
    if not os.access(place, os.W_OK | os.X_OK):
        return False
    probe = place / f".writable-{os.getpid()}"
    try:
        with probe.open("xb"):
            pass
    except FileExistsError:
        return True
    except OSError as error:
        # A full disk is another matter: it is told where something cannot be written, and may have room again.
        return error.errno in {errno.ENOSPC, errno.EDQUOT}
    probe.unlink(missing_ok=True)
    return True
