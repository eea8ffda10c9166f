"""What the model last said about each image, for viewers that drop it from the reply."""

import threading
from collections.abc import Mapping
from typing import Any, Final

from cachetools import FIFOCache

__all__ = ["LastPredictions"]

_KEYS: Final = ("imt", "pld", "confidence")
_MORE: Final = ("imt_frames", "of_mask")


class LastPredictions:
    """The measurements of the last prediction of every image, in memory; the oldest are forgotten.

    Safe to use from several threads.

    Args:
        capacity: images that are remembered.
    """

    def __init__(self, capacity: int = 1000) -> None:
        self._kept: FIFOCache[str, dict[str, Any]] = FIFOCache(capacity)
        self._lock = threading.Lock()

    def keep(self, image_id: str, params: Mapping[str, Any]) -> None:
        """Remember the params of a reply; one without a measurement is left out."""
        if any(key not in params for key in _KEYS):
            return
        with self._lock:
            self._kept[image_id] = {key: params[key] for key in (*_KEYS, *_MORE) if key in params}

    def get(self, image_id: str) -> dict[str, Any] | None:
        """What was said: `imt`, `pld`, `confidence`, and `imt_frames` and `of_mask` where they were.

        None for an image that was not segmented since the server started.

        >>> kept = LastPredictions(capacity=1)
        >>> kept.keep("a", {"imt": {"mean_mm": 0.7}, "pld": 0.1, "confidence": 0.9, "latencies": {}})
        >>> kept.get("a")
        {'imt': {'mean_mm': 0.7}, 'pld': 0.1, 'confidence': 0.9}
        >>> kept.keep("b", kept.get("a"))
        >>> kept.get("a") is None
        True
        """
        with self._lock:
            return self._kept.get(image_id)
