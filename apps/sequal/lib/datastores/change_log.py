"""What was noted about images and labels since the list of a study was written: one line for each change."""

import json
import logging
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from monailabel.datastore.local import ImageLabelModel
from pydantic import BaseModel, ValidationError

from sequal.errors import SettingsError
from sequal.study.state import atomic_write

__all__ = ["Change", "ChangeLog", "entry_text"]

logger = logging.getLogger(__name__)


class Change(BaseModel):
    """What is noted about one image and its labels from now on.

    Attributes:
        image: image id.
        entry: everything that is noted; None: the image is gone.
    """

    image: str
    entry: ImageLabelModel | None


def entry_text(image: str, entry: ImageLabelModel | None) -> bytes:
    """An entry as JSON in one line, of which it is certain that it can be read again.

    Raises:
        SettingsError: it holds what JSON cannot, half of a surrogate pair say, or is nested too deep.
    """
    try:
        text: bytes = b"null" if entry is None else entry.model_dump_json(fallback=str).encode()
        if entry is not None:
            ImageLabelModel.model_validate_json(text)
    except ValueError as error:  # also what pydantic and UTF-8 raise
        raise SettingsError(
            f"Expected what is noted about {image!r} to be JSON that can be read again, got: {error}. "
            "Send plain text, numbers, lists and dictionaries, less than 100 deep."
        ) from error
    return text


class ChangeLog:
    """A file of changes beside the list, only ever appended to, so that noting a label costs the same in any study.

    The last line of an image counts. A line that was cut by a crash is left out and named in the log; its change was
    never acknowledged. All methods but `position` are called while the study's lock is held.

    Args:
        path: the file; absent while there is nothing to note.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._known = (0, 0)  # inode, and the bytes of it that memory has

    @property
    def position(self) -> tuple[int, int]:
        """Which file was read or written last, and how far; for `drop_before`."""
        return self._known

    @property
    def is_replaced(self) -> bool:
        """Whether another process has put the changes into the list and begun a new file."""
        inode, size = self._stat()
        return self._known[0] != 0 and (inode != self._known[0] or size < self._known[1])

    @property
    def is_empty(self) -> bool:
        """Whether the list says all."""
        return self._stat()[1] == 0

    def append(self, changes: Iterable[tuple[str, bytes]], *, durable: bool) -> None:
        """Write changes down, all or none.

        Args:
            changes: image id and its entry as `entry_text` gives it.
            durable: return only when they are on the disk.

        Raises:
            OSError: they cannot be written; the file is as it was.
        """
        lines = b"".join(
            b'{"image":' + json.dumps(image).encode() + b',"entry":' + entry + b"}\n" for image, entry in changes
        )
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o666)
        try:
            before = os.fstat(descriptor).st_size
            if before and os.pread(descriptor, 1, before - 1) != b"\n":
                lines = b"\n" + lines  # a crash has cut the last line
            try:
                if os.write(descriptor, lines) != len(lines):
                    raise OSError(f"No space left for {self._path}")
                if durable:
                    os.fsync(descriptor)
            except OSError:
                os.ftruncate(descriptor, before)
                raise
            self._known = os.fstat(descriptor).st_ino, before + len(lines)
        finally:
            os.close(descriptor)

    def read(self, *, anew: bool = False) -> Iterator[Change]:
        """Changes that memory does not have yet, the oldest first.

        Args:
            anew: all of them.
        """
        inode, size = self._stat()
        start = 0 if anew else self._known[1]
        self._known = inode, size
        if size <= start:
            return
        with self._path.open("rb") as file:
            file.seek(start)
            content = file.read(size - start)
        for line in content.split(b"\n"):
            try:
                if line:
                    yield Change.model_validate_json(line)
            except ValidationError:
                logger.error("A line of %s is damaged and left out: %.80r", self._path.name, line)

    def drop_before(self, position: tuple[int, int]) -> None:
        """Forget the changes that the list has by now.

        Args:
            position: where the log ended when the list was made.

        Raises:
            OSError: the file cannot be written; the list then holds what it still says.
        """
        if not self._path.exists():
            return
        content = self._path.read_bytes()[position[1] :]
        if content:
            with atomic_write(self._path) as file:
                file.write(content)
        else:
            self._path.unlink()
        self._known = self._stat()

    def _stat(self) -> tuple[int, int]:
        try:
            status = os.stat(self._path)
        except FileNotFoundError:
            return 0, 0
        return status.st_ino, status.st_size
