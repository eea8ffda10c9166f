"""The list of a studies folder: what lies in it and what is noted about it, kept in memory and on the disk."""

import gc
import json
import logging
import os
import shutil
import threading
import time
from collections.abc import Collection, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

from filelock import FileLock, Timeout
from monailabel.datastore.local import DataModel, ImageLabelModel, LocalDatastore, LocalDatastoreModel

from lib.configs import in_task_process
from lib.datastores.change_log import ChangeLog, entry_text
from lib.datastores.folder_watch import FolderWatch
from lib.datastores.found_files import FoundFiles
from lib.datastores.notes import PREVIOUS, read_list, rescued_list
from sequal.errors import StorageError
from sequal.files.text_files import same_text
from sequal.study.pool_index import PoolIndex
from sequal.study.state import atomic_write
from sequal.study.storage import is_writable

__all__ = ["KeptList"]

logger = logging.getLogger(__name__)

_CONFIG: Final = "datastore_v2.json"
_CHANGES: Final = "datastore_v2.changes.jsonl"
#: Longest wait for another server of the study to finish writing.
_LOCK_S: Final = 30.0
#: Entries that are written between two short pauses, in which requests are answered.
_AT_ONCE: Final = 200
_PAUSE_S: Final = 0.001


class KeptList(LocalDatastore):
    """MONAI Label's list of a folder, as quick in a large study as in a small one, for threads and for processes.

    - What is noted is appended to `datastore_v2.changes.jsonl`; `datastore_v2.json`, which MONAI Label writes as a
      whole at every change, is written when the study is opened for the first time and in quiet moments.
    - Only server processes write, one at a time, and each reads first what another server wrote; a training or scoring
      process reads. A damaged list is set aside, and every entry of it that is whole is kept.
    - What other programs change in the folder is found by listing names; only images and labels that came or went are
      looked at, and the list is never empty meanwhile.

    Args:
        folder: the studies folder.
        auto_reload: watch the folder for new files.

    Attributes:
        index: which images are labelled; its lock is the turn of a thread.
    """

    def __init__(self, folder: str, *, auto_reload: bool) -> None:
        server = not in_task_process()
        self._read_only = server and not is_writable(Path(folder))
        self._writes = server and not self._read_only
        self.index = PoolIndex()
        self._turn = self.index.lock
        self._held = threading.local()
        # What MONAI Label's own constructor sets; it would fail in a folder that cannot be written.
        self._datastore_path, self._datastore_config_path = folder, os.path.join(folder, _CONFIG)
        self._auto_reload = auto_reload and server
        self._lock_file = os.path.join(folder, ".lock")
        self._file_lock = FileLock(self._lock_file, timeout=_LOCK_S)
        logging.getLogger("filelock").setLevel(logging.ERROR)
        self._changes = ChangeLog(Path(folder) / _CHANGES)
        self._unwritten: set[str] = set()
        self._left_out: frozenset[str] = frozenset()
        self._noted_at = time.monotonic()
        self._stamp: tuple[int, int, int] | None = None
        self._found: dict[str, FoundFiles] = {}  # by tag of the labels; of the images under ""
        self._datastore = self._based(
            LocalDatastoreModel(name="new-dataset", description="New Dataset", images_dir=".")
        )

    @property
    def read_only(self) -> bool:
        """Whether the folder cannot be written, so that only reading is possible."""
        return self._read_only

    @property
    def pool_index(self) -> PoolIndex | None:
        """Which images are labelled, for whoever asks for the next one; None where the folder does not tell."""
        return self.index

    def known_id(self, name: str) -> str:
        """The id of the study that looks as a name does; the name itself where there is none."""
        objects = self._datastore.objects
        if name.isascii() or name in objects:
            return name
        wanted = same_text(name)
        with self._turn:
            return next((image for image in objects if not image.isascii() and same_text(image) == wanted), name)

    def noted(self) -> set[str]:
        """Every image, those that are left out as well."""
        with self._turn:
            return set(self._datastore.objects)

    def noted_at(self, image: str) -> float | None:
        """When an image was noted first, in seconds since the epoch; 0 where that is not known, None for no image."""
        entry = self._datastore.objects.get(image)
        if entry is None:
            return None
        at = entry.image.info.get("ts")
        return float(at) if isinstance(at, int | float) else 0.0

    def leave_out(self, images: Collection[str]) -> None:
        """Ask for none of these and list none of them, until it is said anew; what is noted of them stays.

        Args:
            images: ids that another folder of the server has as well.
        """
        with self._turn:
            changed = self._left_out.symmetric_difference(images)
            self._left_out = frozenset(images)
            for image in changed:
                self._index(image)

    def refresh(self) -> None:
        """Bring the list up to date with the folder, whether or not the folder seems to have changed."""
        self.look(anew=True)

    def look(self, *, anew: bool = False) -> None:
        """Bring the list up to date with what other programs changed in the folder.

        Args:
            anew: list the folder in any case, not only when its time of change is another.
        """
        with self._reading():
            found = self._find(anew=anew)
            if not found:
                return
            before, images = len(self._datastore.objects), self._suffixes("")
            changed = [image for image in sorted(found) if self._look_at(image, images)]
            if changed:
                self._write_notes_if_possible(changed)
                logger.info("The study has %d images, %d before", len(self._datastore.objects), before)

    def quiet_s(self) -> float:
        """Seconds since something was noted that is not in the list yet; 0 where all is."""
        return time.monotonic() - self._noted_at if self._writes and not self._changes.is_empty else 0.0

    def put_changes_into_list(self, pause_s: float = _PAUSE_S) -> None:
        """Write the list with all changes in it, and begin a new file of changes. Requests are answered meanwhile.

        Args:
            pause_s: after every 200 images, for the requests of others.

        Raises:
            OSError: it cannot be written; list and changes are as they were.
        """
        if not self._writes:
            return
        with self._exclusive():
            known, position, images = self._stamp, self._changes.position, list(self._datastore.objects)
        config = Path(self._datastore_config_path)
        try:
            with ExitStack() as until_renamed:
                with atomic_write(config) as file:
                    file.writelines(self._list_in_parts(images, pause_s))
                    file.flush()
                    # What damages the one file must not damage both; with the changes, either says all.
                    with open(file.name, "rb") as written, atomic_write(config.with_name(_CONFIG + PREVIOUS)) as copy:
                        shutil.copyfileobj(written, copy)
                    until_renamed.enter_context(self._exclusive())
                    if (known, position[0]) != (self._stamp, self._changes.position[0]):
                        raise _Overtaken
                self._stamp = _stamp(config)
                self._changes.drop_before(position)
        except _Overtaken:
            logger.info("Another server has written %s", _CONFIG)

    # For those who build on it

    def _open(self) -> None:
        """Begin with the list and the files as they are, and watch the folder if that is wanted."""
        with _no_garbage(), self._reading():
            self._find(anew=True)
            known, images = self._datastore.objects, self._suffixes("")
            every = [*known, *sorted(images.keys() - known.keys())]
            different = [image for image in every if self._look_at(image, images)]
            self._fill_index()
        if self._stamp is None and self._writes:
            try:
                self.put_changes_into_list(pause_s=0.0)
            except OSError as error:
                logger.error("%s cannot be written (%s); it is written later.", _CONFIG, error)
        elif different:
            with self._reading():
                self._write_notes_if_possible(different)
        if self._auto_reload:
            FolderWatch(self).start()

    def _check_writable(self) -> None:
        if self._read_only:
            raise StorageError(
                f"Expected the studies folder {self._datastore_path} to be writable, got a read-only one. Images can "
                "be segmented, labels cannot be stored: make it writable and start the server again."
            )

    @contextmanager
    def _exclusive(self) -> Iterator[None]:
        """The turn of this thread, and of this server among those of the study; what others wrote is known then.

        Raises:
            StorageError: the folder cannot be written.
        """
        self._check_writable()
        with self._reading():
            yield

    @contextmanager
    def _reading(self) -> Iterator[None]:
        """As `_exclusive`, also where nothing can be written."""
        with self._turn:
            if getattr(self._held, "now", False):
                yield
                return
            self._held.now = True
            try:
                with ExitStack() as lock:
                    if self._writes:
                        self._lock_processes(lock)
                    self._catch_up()
                    yield
            finally:
                self._held.now = False

    def _lock_processes(self, lock: ExitStack) -> None:
        try:
            lock.enter_context(self._file_lock)
        except Timeout as error:
            raise StorageError(
                f"Expected {self._lock_file} to be free within {_LOCK_S:g} s, got one that another server holds. "
                "Nothing was changed; ask again, or look whether that server hangs."
            ) from error

    def _write_notes(self, images: Iterable[str], *, durable: bool = False) -> None:
        """Write down what is now known about images; the caller holds `_exclusive`.

        Args:
            images: their ids; one that is not in the list is gone.
            durable: return only when it is on the disk.

        Raises:
            OSError: it cannot be written. It counts all the same, and is written with the next change.
        """
        objects = self._datastore.objects
        self._unwritten.update(images)
        for image in self._unwritten:
            self._index(image)
        if not self._writes:
            self._unwritten.clear()
            return
        self._noted_at = time.monotonic()
        changes = [(image, entry_text(image, objects.get(image))) for image in sorted(self._unwritten)]
        self._changes.append(changes, durable=durable)
        self._unwritten.clear()

    def _write_notes_if_possible(self, images: Iterable[str], *, durable: bool = False) -> None:
        """As `_write_notes` after files have changed: they are what counts, and are found again by their names."""
        try:
            self._write_notes(images, durable=durable)
        except OSError as error:
            logger.error("%s cannot be written (%s); it is written with the next change.", _CHANGES, error)

    def _suffixes(self, tag: str) -> dict[str, str]:
        """Suffix by id of the files that were found: of labels with a tag, or of images when it is empty."""
        return self._found[tag].suffixes if tag in self._found else {}

    # The folder

    def _find(self, *, anew: bool) -> set[str]:
        """Ids of images that changed since the folder was listed last, or whose labels did."""
        labels = Path(self._datastore.label_path(None))
        tags = sorted(path.name for path in labels.iterdir() if path.is_dir()) if labels.is_dir() else []
        for tag in ("", *tags):
            if tag not in self._found:
                folder = self._datastore.label_path(tag) if tag else self._datastore.image_path()
                self._found[tag] = FoundFiles(Path(folder), Path(self._datastore_path))
        changed: set[str] = set().union(*(found.changed(anew=anew) for found in self._found.values()))
        return changed | self._join_forms({image for image in changed if not image.isascii()})

    def _join_forms(self, changed: set[str]) -> set[str]:
        """Let labels have the very name of their image where both only look the same; ids of which that was done.

        Args:
            changed: ids that came, went or changed and have more than one form.
        """
        if not (changed and self._writes):
            return set()
        forms, known = {same_text(image) for image in changed}, self._suffixes("")
        images = {form: image for image in known if not image.isascii() and (form := same_text(image)) in forms}
        joined = set()
        for found in [found for tag, found in self._found.items() if tag]:
            for label in [label for label in found.suffixes if not label.isascii() and label not in known]:
                image = images.get(same_text(label))
                if image is not None and image not in found.suffixes:
                    joined |= found.rename(label, image)
        return joined

    def _look_at(self, image: str, images: dict[str, str]) -> bool:
        """Let the list say what the files say about one image; whether it said something else."""
        objects = self._datastore.objects
        entry = objects.get(image)
        if image not in images:
            return objects.pop(image, None) is not None
        labels = {tag: found.suffixes[image] for tag, found in self._found.items() if tag and image in found.suffixes}
        if entry and entry.image.ext == images[image] and {t: label.ext for t, label in entry.labels.items()} == labels:
            return False
        objects[image] = ImageLabelModel(
            image=_entry(entry.image if entry else None, image, images[image]),
            labels={tag: _entry(entry.labels.get(tag) if entry else None, image, labels[tag]) for tag in labels},
        )
        return True

    # The list and its changes

    def _init_from_datastore_file(self, throw_exception: bool = False) -> None:
        with self._reading():
            pass

    def _update_datastore_file(self, lock: bool = True) -> None:
        """MONAI Label's name for noting what concerns the study as a whole: its name and its description."""
        self.put_changes_into_list()

    def _catch_up(self) -> None:
        """Read what another process wrote: mostly nothing, but for two looks at the files."""
        while True:
            stamp = _stamp(Path(self._datastore_config_path))
            replaced = stamp != self._stamp or self._changes.is_replaced
            if replaced:
                self._read_list(stamp)
            read = [(change.image, change.entry) for change in self._changes.read(anew=replaced)]
            # Where there is no lock, another process may have moved changes into the list between both.
            if stamp == _stamp(Path(self._datastore_config_path)) or self._writes:
                break
        objects = self._datastore.objects
        for image, entry in read:
            if image in self._unwritten and not replaced:
                continue
            if entry is None:
                objects.pop(image, None)
            else:
                objects[image] = entry
        if replaced:
            self._fill_index()
        for image, _ in read:
            self._index(image)

    def _read_list(self, stamp: tuple[int, int, int] | None) -> None:
        config, former = Path(self._datastore_config_path), self._datastore.objects
        self._stamp = stamp
        if stamp is not None:
            try:
                self._datastore = self._based(read_list(config))
            except (ValueError, OSError) as error:
                self._datastore = self._based(rescued_list(config))
                logger.error(
                    "%s is damaged (%s); it is set aside. What it notes about %d images is kept; the rest is made "
                    "again from the files.",
                    config.name,
                    str(error).splitlines()[0],
                    len(self._datastore.objects),
                )
                if self._writes:
                    config.rename(config.with_name(f"{config.name}.corrupt-{time.time_ns()}"))
                    self._stamp = None
        for image in self._unwritten & former.keys():
            self._datastore.objects[image] = former[image]

    def _based(self, listed: LocalDatastoreModel) -> LocalDatastoreModel:
        listed.base_path = self._datastore_path
        return listed

    def _index(self, image: str) -> None:
        entry = self._datastore.objects.get(image)
        if entry is None or image in self._left_out:
            self.index.drop(image)
        else:
            self.index.put(image, entry.labels.keys())

    def _fill_index(self) -> None:
        known = self._datastore.objects.items()
        self.index.fill((image, entry.labels.keys()) for image, entry in known if image not in self._left_out)

    def _list_in_parts(self, images: list[str], pause_s: float) -> Iterator[bytes]:
        """The list as JSON, an image a line, so that the requests of others come between."""
        head = self._datastore.model_dump_json(exclude={"base_path", "objects"}, fallback=str)
        yield head[:-1].encode() + b',"objects":{'
        separator = b"\n"
        for start in range(0, len(images), _AT_ONCE):
            with self._turn:
                for image in images[start : start + _AT_ONCE]:
                    entry = self._datastore.objects.get(image)
                    if entry is not None:
                        yield separator + json.dumps(image).encode() + b":" + entry_text(image, entry)
                        separator = b",\n"
            time.sleep(pause_s)
        yield b"\n}}\n"


class _Overtaken(Exception):  # noqa: N818 - it is no error
    """Another process has written the list meanwhile, with all that this one knew."""


@contextmanager
def _no_garbage() -> Iterator[None]:
    """For the making of many objects that stay: the collector is not to go through them, now or later."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if enabled:
            gc.enable()


def _stamp(path: Path) -> tuple[int, int, int] | None:
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size


def _entry(known: DataModel | None, stem: str, suffix: str) -> DataModel:
    """What is noted about a file, or a new note when it is new or came back under another suffix."""
    if known is not None and known.ext == suffix:
        return known
    return DataModel(info={"ts": int(time.time()), "name": stem + suffix}, ext=suffix)
