"""The mask that an annotator was shown last on an image, to tell later what was changed."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sequal.errors import StudyError
from sequal.study.state.atomic import atomic_write
from sequal.study.state.derived import read_derived
from sequal.study.state.names import file_stem

__all__ = ["ShownStore"]


class ShownStore:
    """One file for each image of which a mask was shown; one that is lost or damaged counts as none.

    Args:
        folder: where the files are; made with the first.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def put(self, image_id: str, mask: NDArray[np.uint8]) -> None:
        """Remember what was shown, instead of what was shown before.

        Args:
            image_id: the image.
            mask: uint8 (W, H) or (W, H, F).

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
        """What was shown last: uint8, of the shape that was put, or None when nothing is known."""
        lost = "what was changed in the next label of this image is judged without it"
        mask: NDArray[np.uint8] | None = read_derived(self._path(image_id), lambda content: content["mask"], lost)
        return mask

    def _path(self, image_id: str) -> Path:
        return self._folder / f"{file_stem(image_id)}.npz"
