"""Arrays that can be made again, in files of a study's state; a damaged one is set aside, and somebody is told."""

import logging
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeVar

import numpy as np

__all__ = ["damaged_files", "read_derived"]

logger = logging.getLogger(__name__)

_ASIDE: Final = ".damaged"
#: Of numpy and its archives; a file of one array is a `TypeError`.
_DAMAGE: Final = (ValueError, LookupError, TypeError, EOFError, zlib.error, zipfile.BadZipFile)

T = TypeVar("T")


def read_derived(path: Path, read: Callable[[Any], T], consequence: str) -> T | None:
    """What a `.npz` file holds, or None when there is none that can be read.

    A damaged file is renamed, so that it is told of once and kept for whoever looks at the disk.

    Args:
        path: the file.
        read: takes what it needs out of the opened file, as `numpy.load` gives it.
        consequence: what becomes of the loss, for the log: "they are computed again".
    """
    try:
        with np.load(path, allow_pickle=False) as content:
            return read(content)
    except FileNotFoundError:
        return None
    except _DAMAGE as error:
        _set_aside(path, error, consequence)
    except OSError as error:  # not allowed, or too many open files: the file itself may be well
        logger.warning("%s cannot be read (%s); %s.", path, error, consequence)
    return None


def damaged_files(folder: Path) -> list[str]:
    """Names of the files of a folder that were set aside, sorted; none in a missing one."""
    return sorted(path.name for path in folder.glob(f"*{_ASIDE}"))


def _set_aside(path: Path, error: Exception, consequence: str) -> None:
    aside = path.with_name(path.name + _ASIDE)
    said = str(error).partition("\n")[0] or type(error).__name__
    try:
        path.replace(aside)
    except OSError as problem:
        logger.warning("%s is damaged (%s) and cannot be set aside (%s); %s.", path, said, problem, consequence)
    else:
        logger.warning("%s was damaged (%s) and is kept as %s; %s.", path, said, aside.name, consequence)
