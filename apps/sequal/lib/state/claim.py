"""Which state belongs to a studies folder that is served: servers with two states would know nothing of each other."""

import json
import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import IO, Final

from lib.errors import StudyError

try:
    import fcntl
except ImportError:  # not on Windows, where the folder is not claimed
    _flock: Callable[[IO[str], int], None] | None = None
else:
    _flock = fcntl.flock

__all__ = ["CLAIM", "Claim", "claim_study"]

logger = logging.getLogger(__name__)

#: In the studies folder; hidden, so that it is no image.
CLAIM: Final = ".sequal-server"


class Claim:
    """A claim on a studies folder; it holds until it is released or its process ends, however that happens.

    Args:
        file: the open file whose lock is the claim; None where nothing can be claimed.
    """

    def __init__(self, file: IO[str] | None = None) -> None:
        self._file = file

    def release(self) -> None:
        """Let servers with another state in."""
        if self._file is not None:
            self._file.close()
            self._file = None


def claim_study(folder: Path, state: str, where: Path) -> Claim:
    """Claim a studies folder for a state; any number of servers may do so for the same one.

    Args:
        folder: the studies folder. One that cannot be written is not claimed: nothing can be lost in it.
        state: what tells one state from another, as `StudyState.name` gives it.
        where: its folder, for the error that another server gets.

    Raises:
        StudyError: a server with another state serves the folder now.
    """
    if _flock is None:
        return Claim()
    try:
        file = open(folder / CLAIM, "a+", encoding="utf-8")  # noqa: SIM115 - open as long as the claim
    except OSError as error:
        logger.info("The studies folder is not claimed: %s", error)
        return Claim()
    try:
        if _locked(file, fcntl.LOCK_EX):
            file.truncate(0)
            file.write(json.dumps({"state": state, "where": str(where), "pid": os.getpid()}))
            file.flush()
        _flock(file, fcntl.LOCK_SH)  # waits while another server writes its name there, or judges what it reads
        file.seek(0)
        other, place = _content(file.read())
    except OSError as error:
        logger.warning("This disk knows no locks (%s): start one server on this study.", error)
        file.close()
        return Claim()
    if other != state:
        file.close()
        raise StudyError(
            f"Expected every server of {folder} to have one state, got {where} ({state}) while a running server has "
            f"{place} ({other}). "
            "Labels would be asked for twice and rounds would not know of each other: give both the same "
            "`--conf state` (and `--conf ledger`), or stop the other server."
        )
    return Claim(file)


def _locked(file: IO[str], kind: int) -> bool:
    assert _flock is not None
    try:
        _flock(file, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _content(text: str) -> tuple[str, str]:
    try:
        content = json.loads(text)
        return str(content["state"]), str(content["where"])
    except (ValueError, LookupError, TypeError):
        return "", "an unknown one"
