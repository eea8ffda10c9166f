"""Which state belongs to a study that is served: servers with two states would know nothing of each other."""

import hashlib
import json
import logging
import os
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, Any, Final

from sequal.errors import StudyError

try:
    import fcntl
except ImportError:  # not on Windows, where the folder is not claimed
    _flock: Callable[[IO[str], int], None] | None = None
else:
    _flock = fcntl.flock

__all__ = ["CLAIM", "Claim", "claim_pacs", "claim_study"]

logger = logging.getLogger(__name__)

#: In the studies folder; hidden, so that it is no image. Of a PACS in the folder of temporary files.
CLAIM: Final = ".sequal-server"


class Claim:
    """A claim on a study; it holds until it is released or its process ends, however that happens.

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
    return _claim(folder / CLAIM, str(folder), state, where, of_others=False)


def claim_pacs(address: str, found: Mapping[str, Any], state: str, where: Path) -> Claim:
    """Claim the study of a PACS, over all servers of this computer. Servers on others are not seen.

    Args:
        address: of its DICOMweb service, as `study_identity` gives it.
        found: the search filter of its images; with another one it is another study.
        state: as for `claim_study`.
        where: as for `claim_study`.

    Raises:
        StudyError: as `claim_study`.
    """
    study = json.dumps([address, found], sort_keys=True, default=str)
    digest = hashlib.sha256(study.encode()).hexdigest()[:16]
    return _claim(Path(tempfile.gettempdir()) / f"{CLAIM}-{digest}", address, state, where, of_others=True)


def _claim(path: Path, study: str, state: str, where: Path, *, of_others: bool) -> Claim:
    if _flock is None:
        return Claim()
    try:
        file, writable = _opened(path, of_others=of_others)
    except OSError as error:
        logger.info("%s is not claimed: %s", study, error)
        return Claim()
    try:
        if _locked(file, fcntl.LOCK_EX):
            if not writable:  # of another user, who serves nothing now
                file.close()
                return Claim()
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
            f"Expected every server of {study} to have one state, got {where} ({state}) while a running server has "
            f"{place} ({other}). "
            "Labels would be asked for twice and rounds would not know of each other: give both the same "
            "`--conf state` (and `--conf ledger`), or stop the other server."
        )
    return Claim(file)


def _opened(path: Path, *, of_others: bool) -> tuple[IO[str], bool]:
    """The file of a claim, and whether this user may write it; never what a link points to."""
    careful = os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        return os.fdopen(os.open(path, os.O_CREAT | os.O_RDWR | os.O_APPEND | careful, 0o644), "a+"), True
    except PermissionError:
        if not of_others:
            raise
        return os.fdopen(os.open(path, os.O_RDONLY | careful)), False


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
