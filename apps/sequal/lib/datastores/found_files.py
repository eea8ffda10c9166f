"""The image and label files of one folder, by id, as their names say; only what has changed is looked at again."""

import logging
import os
import time
from pathlib import Path
from typing import Final

from sequal.files.imaging import IMAGE_SUFFIXES
from sequal.files.imaging.names import is_storable_name

__all__ = ["FoundFiles", "split_name"]

logger = logging.getLogger(__name__)

_SUFFIXES: Final = (*IMAGE_SUFFIXES, *(suffix.upper() for suffix in IMAGE_SUFFIXES))
#: File systems note the time of a change this coarsely; a folder that changed a moment ago is listed again.
_COARSE_S: Final = 2.0


def split_name(name: str) -> tuple[str, str]:
    """Id and suffix of a file, the suffix as it is written; `("", "")` for a file that is no image.

    A suffix counts in lower or in upper case, as MONAI Label's patterns have it. A name that `is_storable_name` refuses
    is no image's.

    >>> split_name("p01.v2.nii.gz"), split_name("IMG.PNG"), split_name("._p01.nii.gz"), split_name("a.txt")
    (('p01.v2', '.nii.gz'), ('IMG', '.PNG'), ('', ''), ('', ''))
    """
    for suffix in _SUFFIXES:
        if name.endswith(suffix):
            return (name[: -len(suffix)], suffix) if is_storable_name(name) else ("", "")
    return "", ""


class FoundFiles:
    """The files of one folder, not of its subfolders. A missing folder has none.

    Of two files with one id the first by name counts, and the log names the other.

    A pipe or a device is no file. A link counts when it stays in the study: whoever may write into the folder could
    otherwise have any file of the server listed, and downloaded.

    Args:
        folder: the folder.
        study: what a link may not leave; None for the folder itself.
    """

    def __init__(self, folder: Path, study: Path | None = None) -> None:
        self._folder = folder
        self._study = Path(os.path.realpath(study or folder))
        self._names: set[str] = set()
        self._suffixes: dict[str, str] = {}
        self._seen = (-1, -1)  # time of change and inode of the folder when it was listed last
        self._used: set[str] = set()  # suffixes that were ever seen here
        self._warned: set[str] = set()

    @property
    def suffixes(self) -> dict[str, str]:
        """Suffix by id, as the folder was listed last."""
        return self._suffixes

    def changed(self, *, anew: bool = False) -> set[str]:
        """List the folder again if it has changed.

        Args:
            anew: list it in any case.

        Returns:
            Ids of files that came, went or got another suffix since the last time.
        """
        started = time.time()
        seen = self._stamp()
        if seen == self._seen and not anew:
            return set()
        names = self._list()
        parts = {split_name(name) for name in names ^ self._names} - {("", "")}
        self._used |= {suffix for _, suffix in parts}
        self._names = names
        self._warn_of({name for name in names if not name.isascii() and not is_storable_name(name)})
        changed = {image for image in {image for image, _ in parts} if self._look_at(image)}
        self._seen = seen if started - seen[0] / 1e9 > _COARSE_S else (-1, -1)
        return changed

    def rename(self, name: str, other: str) -> set[str]:
        """Give the file of an id another id, which no file of the folder has; ids that changed with it.

        Nothing is replaced, whatever another program does meanwhile. Where that cannot be had, the file stays.
        """
        former = self._folder / (name + self._suffixes[name])
        new = self._folder / (other + self._suffixes[name])
        try:
            os.link(former, new)
            former.unlink()
        except OSError as error:
            logger.warning(
                "%s looks like the label of %r and cannot get that name (%s). Rename it.", former, other, error
            )
            return set()
        logger.info("Renamed %r to %r: both looked the same", former.name, new.name)
        return self.changed(anew=True)

    def _stamp(self) -> tuple[int, int]:
        try:
            status = os.stat(self._folder)
        except OSError:
            return 0, 0
        return status.st_mtime_ns, status.st_ino

    def _list(self) -> set[str]:
        try:
            with os.scandir(self._folder) as entries:
                return {entry.name for entry in entries if entry.name.endswith(_SUFFIXES) and self._is_file(entry)}
        except (FileNotFoundError, NotADirectoryError):
            return set()

    def _is_file(self, entry: os.DirEntry[str]) -> bool:
        try:
            if not entry.is_file():
                return False
        except OSError:
            return False
        if not entry.is_symlink() or Path(os.path.realpath(entry.path)).is_relative_to(self._study):
            return True
        if entry.name not in self._warned:
            self._warned.add(entry.name)
            logger.warning(
                "Leaving out %r: expected a file within %s, got a link that leads out of it. Copy or hard-link the "
                "file, or use `cli.py import`.",
                entry.name,
                self._study,
            )
        return False

    def _warn_of(self, names: set[str]) -> None:
        for name in sorted(names - self._warned):
            self._warned.add(name)
            logger.warning("Leaving out %r: expected a file name in UTF-8. Rename it.", name)

    def _look_at(self, image: str) -> bool:
        """Find the file of an id among the names; whether it is another than before."""
        names = sorted(image + suffix for suffix in self._used if image + suffix in self._names)
        found = [name for name in names if split_name(name)[0] == image]  # `a.seg` has no `a.seg.nrrd`
        if len(found) > 1 and image not in self._warned:
            self._warned.add(image)
            logger.warning("Two files with one id: %s is used, %s is not. Rename one of them.", *found[:2])
        before = self._suffixes.pop(image, None)
        if found:
            self._suffixes[image] = found[0][len(image) :]
        return before != self._suffixes.get(image)
