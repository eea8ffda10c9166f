"""Which state belongs to a study that is served: servers with two states would know nothing of each other.

Servers of one computer see each other by a lock, which ends with its process. On a disk that several computers share,
locks may end at the computer. What is written there is seen by all: a server renews its claim, and one that comes
watches the claim of another state before it takes it over.
"""

import atexit
import hashlib
import json
import logging
import os
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from sequal.errors import StudyError
from sequal.study.state.processes import machine_name

try:
    import fcntl
except ImportError:  # not on Windows, where the folder is not claimed
    _flock: Callable[[int, int], None] | None = None
else:
    _flock = fcntl.flock

__all__ = ["CLAIM", "Claim", "claim_folder", "claim_pacs", "pacs_key"]

logger = logging.getLogger(__name__)

#: In the studies folder and in that of the state; hidden, so that it is no image. Of a PACS in the folder of temporary
#: files.
CLAIM: Final = ".sequal-server"
_RENEW_S: Final = 5.0
#: Disks of other computers are read again after some seconds at most.
_WATCH_S: Final = 3 * _RENEW_S
_POLL_S: Final = 1.0
#: No two clocks differ by so much: what was renewed longer ago is of a server that has ended.
_LONG_AGO_S: Final = 3600.0
_LONGEST: Final = 1 << 14


@dataclass(frozen=True)
class _Content:
    """What is written in a claim; `renewed` in seconds since the epoch by the clock of its server."""

    state: str = ""
    where: str = "an unknown one"
    machine: str = ""
    pid: int = 0
    renewed: float = 0.0


class Claim:
    """A claim on a study; it holds until it is released or its process ends, however that happens.

    Args:
        file: descriptor of the open file whose lock is the claim; None where nothing can be claimed.
        own: what is written in it again and again; None where it cannot be written.
        renew_s: seconds between two times.
    """

    def __init__(self, file: int | None = None, own: _Content | None = None, renew_s: float = _RENEW_S) -> None:
        self._file, self._own, self._renew_s = file, own, renew_s
        self._other: _Content | None = None
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._renew, name="claim", daemon=True)
        if file is not None and own is not None:
            self._thread.start()
        atexit.register(self.release)  # whoever comes next need not watch it

    def contested(self) -> str:
        """Why no further frame should be asked for: a server with another state has taken over; empty: none has.

        That happens where two servers begin in one moment on a disk without locks, or after this one stood still.
        """
        return "" if self._other is None or self._own is None else _sentence("this study", self._own, self._other)

    def release(self) -> None:
        """Let servers with another state in."""
        atexit.unregister(self.release)
        self._end.set()
        if self._thread.is_alive():
            self._thread.join()
        if self._file is None:
            return
        try:
            if self._own is not None and self._other is None and _locked(self._file, fcntl.LOCK_EX):
                os.ftruncate(self._file, 0)
        except OSError as error:
            logger.info("The claim is left to run out: %s", error)
        os.close(self._file)
        self._file = None

    def _renew(self) -> None:
        assert self._file is not None
        assert self._own is not None
        while not self._end.wait(self._renew_s):
            try:
                found = _read(self._file)
                if found.state not in ("", self._own.state):
                    self._other = found
                    logger.error("%s", self.contested())
                    return
                _write(self._file, self._own)
            except OSError as error:
                logger.warning("The claim on the study cannot be renewed: %s", error)


def claim_folder(
    folder: Path, state: str, where: Path, *, renew_s: float = _RENEW_S, watch_s: float = _WATCH_S
) -> Claim:
    """Claim a studies folder or the folder of a state; any number of servers may do so for the same state.

    Args:
        folder: which. One that cannot be written is not claimed: nothing can be lost in it.
        state: what tells one state from another, as `StudyState.name` gives it.
        where: its folder, for the error that another server gets.
        renew_s: seconds between two times that the claim is renewed.
        watch_s: how long the claim of another computer is watched.

    Raises:
        StudyError: a server with another state serves the folder now.
    """
    return _claim(folder / CLAIM, str(folder), _Content(state, str(where)), renew_s, watch_s, of_others=False)


def claim_pacs(address: str, found: Mapping[str, Any], state: str, where: Path) -> Claim:
    """Claim the study of a PACS, over all servers of this computer. Servers on others are not seen.

    Args:
        address: of its DICOMweb service, as `study_identity` gives it.
        found: the search filter of its images; with another one it is another study.
        state: as for `claim_folder`.
        where: as for `claim_folder`.

    Raises:
        StudyError: as `claim_folder`.
    """
    path = Path(tempfile.gettempdir()) / f"{CLAIM}-{pacs_key(address, found)}"
    return _claim(path, address, _Content(state, str(where)), _RENEW_S, _WATCH_S, of_others=True)


def pacs_key(address: str, found: Mapping[str, Any]) -> str:
    """A short text that is the same for every server of the images that a search filter finds in a PACS.

    >>> pacs_key("http://pacs", {"Modality": "US"}) == pacs_key("http://pacs", {"Modality": "CT"})
    False
    """
    study = json.dumps([address, found], sort_keys=True, default=str)
    return hashlib.sha256(study.encode()).hexdigest()[:16]


def _claim(path: Path, study: str, content: _Content, renew_s: float, watch_s: float, *, of_others: bool) -> Claim:
    if _flock is None:
        return Claim()
    try:
        file, writable = _opened(path, of_others=of_others)
    except OSError as error:
        logger.info("%s is not claimed: %s", study, error)
        return Claim()
    own = _Content(content.state, content.where, machine_name(), os.getpid())
    try:
        alone, locks = _alone(file, path)
        found = _read(file)
        if alone and not writable:  # of another user, who serves nothing now
            os.close(file)
            return Claim()
        if alone and found.state != own.state and not _renewed_elsewhere(path, found, watch_s, locks=locks):
            _write(file, own)
        if locks:
            _flock(file, fcntl.LOCK_SH)  # waits while another server writes its name there, or judges what it reads
        found = _read(file)
    except OSError as error:
        logger.warning("%s cannot be claimed (%s): start one server on this study.", path, error)
        os.close(file)
        return Claim()
    if found.state != own.state:
        os.close(file)
        raise StudyError(_sentence(study, own, found))
    return Claim(file, own if writable else None, renew_s)


def _sentence(study: str, own: _Content, other: _Content) -> str:
    elsewhere = f" on {other.machine.rsplit('-', 2)[0]}" if other.machine not in ("", own.machine) else ""
    return (
        f"Expected every server of {study} to have one state, got {own.where} ({own.state}) while a running server"
        f"{elsewhere} has {other.where} ({other.state}). Labels would be asked for twice and rounds would not know of "
        "each other: give both the same `--conf state` (and `--conf ledger`), or stop the other server."
    )


def _opened(path: Path, *, of_others: bool) -> tuple[int, bool]:
    """The file of a claim, and whether this user may write it; never what a link points to."""
    careful = os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        return os.open(path, os.O_CREAT | os.O_RDWR | careful, 0o644), True
    except PermissionError:
        if not of_others:
            raise
        return os.open(path, os.O_RDONLY | careful), False


def _alone(file: int, path: Path) -> tuple[bool, bool]:
    """Whether no server is seen by its lock, and whether the disk knows locks at all."""
    try:
        return _locked(file, fcntl.LOCK_EX), True
    except OSError as error:
        logger.info("The disk of %s knows no locks (%s): the claim there is watched instead.", path, error)
        return True, False


def _locked(file: int, kind: int) -> bool:
    assert _flock is not None
    try:
        _flock(file, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _renewed_elsewhere(path: Path, found: _Content, watch_s: float, *, locks: bool) -> bool:
    """Whether a server that no lock tells of renews its claim: one on another computer, or on a disk without locks."""
    seen = locks and found.machine in ("", machine_name())
    if not found.state or seen or abs(time.time() - found.renewed) > _LONG_AGO_S:
        return False
    logger.info("Watching for %.0f s whether the server with %s still works on this study", watch_s, found.where)
    end = time.monotonic() + watch_s
    while time.monotonic() < end:
        time.sleep(min(_POLL_S, watch_s / 10))
        # Opened anew: then disks of other computers say what they hold now.
        file = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            now = _read(file)
        finally:
            os.close(file)
        if now.state and now != found:
            return True
    return False


def _read(file: int) -> _Content:
    try:
        content = json.loads(os.pread(file, _LONGEST, 0))
        return _Content(
            str(content["state"]),
            str(content["where"]),
            str(content.get("machine", "")),
            int(content.get("pid", 0)),
            float(content.get("renewed", 0)),
        )
    except (ValueError, LookupError, TypeError, AttributeError):
        return _Content()


def _write(file: int, content: _Content) -> None:
    """Write in one piece, so that nobody reads a half of it."""
    text = json.dumps(asdict(content) | {"renewed": time.time()}).encode()
    os.pwrite(file, text.ljust(os.fstat(file).st_size), 0)
