"""Images, final labels and notes of a study as one archive."""

import os
import tempfile
import zipfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from lib.configs import not_found

__all__ = ["dataset_archive"]


def dataset_archive(pairs: Sequence[Mapping[str, str]], limit: int | None, notes: str) -> str:
    """A temporary archive.

    Args:
        pairs: files of images and their labels.
        limit: so many pairs at most; None, or a number that is none: all.
        notes: what is noted about the images, as JSON.

    Raises:
        HTTPException: 404 when no image has a label.
    """
    if not pairs:
        raise not_found("dataset", "no labelled image")
    with tempfile.NamedTemporaryFile(delete=False) as file:
        try:
            with zipfile.ZipFile(file, mode="x") as archive:
                for pair in pairs[: limit if limit and limit > 0 else None]:
                    _add(archive, pair)
                archive.writestr("metadata.json", notes)
        except BaseException:
            Path(file.name).unlink(missing_ok=True)
            raise
    return file.name


def _add(archive: zipfile.ZipFile, pair: Mapping[str, str]) -> None:
    """Image and label, or nothing of a pair that was removed a moment ago."""
    if all(map(os.path.exists, pair.values())):
        for kind, path in pair.items():
            with suppress(FileNotFoundError):
                archive.write(path, arcname=f"{kind}/{os.path.basename(path)}")
