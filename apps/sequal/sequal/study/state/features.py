"""Feature vectors of a study's images, by the checkpoint that saw them."""

import logging
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sequal.errors import StudyError
from sequal.study.state.atomic import atomic_write, remove_abandoned
from sequal.study.state.derived import read_derived

__all__ = ["FeatureStore"]

logger = logging.getLogger(__name__)

_Vector = NDArray[np.float32]


class FeatureStore:
    """One file for each checkpoint and kind: `<digest>-<kind>.npz` with `images` (N,) and `vectors` (N, D).

    Features are derived: they can be computed again from checkpoint and images. So a damaged file counts as none,
    and of two processes that write at once the later one wins; what is lost is computed again.

    Args:
        folder: where the files are; made with the first.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def put(self, digest: str, kind: str, vectors: Mapping[str, _Vector | None]) -> None:
        """Add vectors of images, replacing older ones of the same.

        Args:
            digest: digest of the checkpoint.
            kind: kind of the vectors, fit for a file name.
            vectors: float32 (D,) by image id, all of one length; None where the image was tried in vain.

        Raises:
            ValueError: the vectors are not of one length.
            StudyError: the file cannot be written; the old one is as it was.
        """
        merged = {**self._read(digest, kind), **vectors}
        if not vectors:
            return
        lengths = {len(vector) for vector in merged.values() if vector is not None}
        if len(lengths) > 1:
            raise ValueError(f"Expected `vectors` to be of one length, got {sorted(lengths)}. Check the network.")
        none = np.full(lengths.pop() if lengths else 1, np.nan, np.float32)
        rows = np.stack([none if vector is None else vector.astype(np.float32) for vector in merged.values()])
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            with atomic_write(self._path(digest, kind)) as file:
                np.savez(file, images=np.array(list(merged), dtype=np.str_), vectors=rows)
        except OSError as error:
            raise StudyError(
                f"Expected `{self._folder}` to be writable, got: {error}. Free space on the disk and score again."
            ) from error

    def get(self, digest: str, kind: str) -> dict[str, _Vector]:
        """Vectors (D,) by image id; {} where there are none, without the images that were tried in vain."""
        return {image: vector for image, vector in self._read(digest, kind).items() if vector is not None}

    def tried(self, digest: str, kind: str) -> set[str]:
        """Images that have a vector or were tried in vain."""
        return set(self._read(digest, kind))

    def prune(self, keep: int, protected: Collection[str] = ()) -> None:
        """Delete the features of all but the newest checkpoints.

        Args:
            keep: how many of the newest stay.
            protected: digests that stay in any case, not counted.
        """
        if not self._folder.is_dir():
            return
        remove_abandoned(self._folder)
        newest: dict[str, int] = {}
        for path in self._folder.glob("*.npz"):
            digest = path.name.partition("-")[0]
            newest[digest] = max(newest.get(digest, 0), path.stat().st_mtime_ns)
        old = sorted(newest.keys() - set(protected), key=lambda digest: (newest[digest], digest))
        for digest in old[: max(0, len(old) - keep)]:
            for path in self._folder.glob(f"{digest}-*.npz"):
                try:
                    path.unlink(missing_ok=True)
                except OSError as error:
                    logger.warning("Cannot delete the old features %s: %s", path, error)

    def _path(self, digest: str, kind: str) -> Path:
        return self._folder / f"{digest}-{kind}.npz"

    def _read(self, digest: str, kind: str) -> dict[str, _Vector | None]:
        return read_derived(self._path(digest, kind), _vectors, "these features are computed again") or {}


def _vectors(content: Mapping[str, NDArray[Any]]) -> dict[str, _Vector | None]:
    images, vectors = content["images"], content["vectors"].astype(np.float32)
    known = np.isfinite(vectors).all(axis=1)
    return {str(image): vector if ok else None for image, vector, ok in zip(images, vectors, known, strict=True)}
