"""Rejected labels: what a client submitted and the app could not accept, kept with the reason."""

import json
import shutil
import time
from pathlib import Path

from sequal.errors import StudyError
from sequal.study.state.names import file_stem

__all__ = ["RejectedStore"]


class RejectedStore:
    """A folder of rejected label files, each with a JSON file that says why."""

    def __init__(self, folder: Path) -> None:
        """A store in `folder`, which is made when the first label comes."""
        self._folder = folder

    def put(self, image_id: str, label_path: Path, reason: str, now: float | None = None) -> Path:
        """Move a label file into the store; earlier ones of the same image stay.

        Args:
            image_id: the image that it was submitted for.
            label_path: the file; it is gone from there afterwards.
            reason: why it was rejected, for people.
            now: time of the rejection, seconds since the epoch (UTC).

        Returns:
            Where the label lies now; the reason lies beside it with the suffix `.json`.

        Raises:
            StudyError: the file cannot be moved; it is where it was.
        """
        suffix = ".nii.gz" if label_path.name.lower().endswith(".nii.gz") else label_path.suffix
        about = {
            "image": image_id,
            "file": label_path.name,
            "reason": reason,
            "rejected_at": time.time() if now is None else now,
        }
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            reason_path = self._reserve(file_stem(image_id), json.dumps(about, indent=1))
            target = reason_path.with_name(reason_path.name.removesuffix(".json") + suffix)
            try:
                shutil.move(label_path, target)
            except OSError:
                reason_path.unlink(missing_ok=True)
                raise
        except OSError as error:
            raise StudyError(
                f"Expected `{label_path}` to be movable to {self._folder}, got: {error}. Check the state folder."
            ) from error
        return target

    def _reserve(self, stem: str, content: str) -> Path:
        number = 1
        while True:
            path = self._folder / f"{stem}-{number}.json"
            try:
                with path.open("x", encoding="utf-8") as file:
                    file.write(content)
                return path
            except FileExistsError:
                number += 1
