"""The model that the server answers with: the published checkpoint, or the starting weights before there is one."""

import threading
from collections.abc import Callable
from pathlib import Path

import torch

from sequal.errors import CheckpointError, DamagedCheckpointError
from sequal.prediction.loading import LoadedPair, load_pair
from sequal.study.state import file_digest

__all__ = ["ServedModel"]

_Stamp = tuple[str, int, int, int]


class ServedModel:
    """Finds, loads and keeps the model in service; a newly published checkpoint is noticed at the next call.

    Safe to use from several threads.

    Args:
        published: where a round publishes; may be absent.
        starting_weights: what a new study starts from; may be absent.
        device: where the networks go.
        repair: called when the published checkpoint turns out to be damaged; whether it put another one there.
        check: called with what was loaded; what it raises ends the call.
    """

    def __init__(
        self,
        published: Path,
        starting_weights: Path,
        device: torch.device,
        repair: Callable[[], bool] = lambda: False,
        check: Callable[[LoadedPair], None] = lambda _: None,
    ) -> None:
        self._repair, self._check = repair, check
        self._candidates = (published, starting_weights)
        self.device = device
        self._lock = threading.Lock()
        self._digest: tuple[_Stamp, str] | None = None
        self._loaded: tuple[_Stamp, LoadedPair] | None = None

    @property
    def path(self) -> Path | None:
        """The checkpoint in service, or None when there is neither a published one nor starting weights."""
        return next((path for path in self._candidates if path.exists()), None)

    @property
    def digest(self) -> str | None:
        """Digest of the checkpoint in service, the key of its scores; None without one."""
        with self._lock:
            path = self.path
            if path is None:
                return None
            stamp = _stamp(path)
            if self._digest is None or self._digest[0] != stamp:
                self._digest = (stamp, file_digest(path))
            return self._digest[1]

    def load(self) -> LoadedPair:
        """The networks in service.

        Raises:
            CheckpointError: there is none, or it cannot be used.
        """
        with self._lock:
            path = self.path
            if path is None:
                raise CheckpointError(
                    f"Expected a published checkpoint or starting weights, got neither {self._candidates[0].name} "
                    f"nor {self._candidates[1].name}. Train once, or run `cli.py pretrain`."
                )
            stamp = _stamp(path)
            if self._loaded is None or self._loaded[0] != stamp:
                try:
                    loaded = load_pair(path, self.device)
                except DamagedCheckpointError:
                    if path != self._candidates[0] or not self._repair():
                        raise
                    path = self.path or path
                    stamp, loaded = _stamp(path), load_pair(path, self.device)
                self._check(loaded)
                self._loaded = (stamp, loaded)
            return self._loaded[1]


def _stamp(path: Path) -> _Stamp:
    status = path.stat()
    # Publishing renames a new file into place: its inode tells two of one size and one coarse time stamp apart.
    return str(path), status.st_ino, status.st_mtime_ns, status.st_size
