"""What a client sees of a running round."""

import json
import logging
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sequal.study.state import atomic_write, process_name

__all__ = ["TrainStats"]

logger = logging.getLogger(__name__)


class TrainStats:
    """The train stats that MONAI Label clients poll, kept in one JSON file of the study's state.

    `best_metric`, `epoch`, `total_epochs` are there from the first epoch; `total_time` appears when the round is
    over, which is how 3D Slicer knows that it is. Until then `doing` says in words what is being done.

    Args:
        path: the file; replaced atomically, so that a reader never sees half of it.
        total_epochs: epochs of the round.
    """

    def __init__(self, path: Path, total_epochs: int) -> None:
        self._path = path
        self._start = time.monotonic()
        self._values: dict[str, Any] = {"epoch": 0, "total_epochs": total_epochs, "best_metric": 0.0}
        self._values["start_ts"] = int(time.time())
        self._values["pid"] = os.getpid()
        self._values["process"] = process_name()
        self.update({})

    def update(self, values: Mapping[str, Any]) -> None:
        """Set values and write the file; a full disk stops the stats, not the round."""
        self._values.update(values)
        try:
            with atomic_write(self._path) as file:
                file.write(json.dumps(self._values).encode())
        except OSError as error:
            logger.warning("Cannot write the train stats %s: %s", self._path, error)

    def finish(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Set the last values and the total time; returns everything."""
        self._values.pop("doing", None)
        self.update({**values, "total_time": round(time.monotonic() - self._start, 2)})
        return dict(self._values)

    @staticmethod
    def read(path: Path) -> dict[str, Any]:
        """The stats in `path`; empty when no round was ever started, or they cannot be read."""
        try:
            stats = json.loads(path.read_bytes())
        except FileNotFoundError:
            return {}
        except (OSError, ValueError) as error:
            logger.warning("The train stats %s cannot be read, nothing is told of the last round: %s", path, error)
            return {}
        return stats if isinstance(stats, dict) else {}
