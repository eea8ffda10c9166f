"""The mask that an annotator was shown last on an image, to tell later what was changed."""

import zipfile
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lib.errors import StudyError
from lib.state.atomic import atomic_write
from lib.state.names import file_stem

__all__ = ["ShownStore"]


class ShownStore:
    """One file for each image of which a mask was shown; a lost or damaged one counts as none.

    Args:
        folder: where the files are; made with the first.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def put(self, image_id: str, mask: NDArray[np.uint8]) -> None:
        """Remember what was shown, instead of what was shown before.

        Args:
            image_id: the image.
            mask: uint8 (W, H).

        Raises:
            StudyError: it cannot be written.
        """
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            with atomic_write(self._path(image_id)) as file:
                np.savez_compressed(file, mask=mask)
        except OSError as error:
            raise StudyError(
                f"Expected `{self._folder}` to be writable, got: {error}. Free space on the disk and ask again."
            ) from error

    def get(self, image_id: str) -> NDArray[np.uint8] | None:
        """What was shown last: uint8 (W, H), or None when nothing is known."""
        try:
            with np.load(self._path(image_id), allow_pickle=False) as content:
                mask: NDArray[np.uint8] = content["mask"]
                return mask
        except (OSError, ValueError, KeyError, EOFError, zlib.error, zipfile.BadZipFile):
            return None

    def _path(self, image_id: str) -> Path:
        return self._folder / f"{file_stem(image_id)}.npz"
