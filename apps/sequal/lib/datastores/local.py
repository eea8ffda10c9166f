"""A folder of images as a MONAI Label datastore, safe for labels and for several processes."""

import json
import logging
import os
import shutil
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

from fastapi import HTTPException, status
from filelock import FileLock, Timeout
from monailabel.datastore.local import DataModel, ImageLabelModel, LocalDatastore, LocalDatastoreModel
from monailabel.interfaces.datastore import DefaultLabelTag
from watchdog.events import FileSystemEvent, PatternMatchingEventHandler
from watchdog.observers import Observer
from watchdog.observers.polling import PollingObserver

from lib.configs import not_found, refusal
from lib.datastores.label_guard import LabelGuard
from lib.datastores.notes import PREVIOUS, check_note, is_storable_name, read_list, rescued_list
from lib.errors import SequalError, StorageError
from lib.imaging import IMAGE_SUFFIXES
from lib.state import atomic_write
from lib.storage import is_writable

__all__ = ["StudyFolder"]

logger = logging.getLogger(__name__)

_CONFIG: Final = "datastore_v2.json"
_LABEL_SUFFIX: Final = ".nii.gz"
#: Longest wait for another server of the study to finish writing.
_LOCK_S: Final = 30.0


class StudyFolder(LocalDatastore):
    """MONAI Label's folder datastore with these differences.

    - A submitted (`final`) label passes the `LabelGuard` before it replaces anything; files are replaced by
      rename, so that a full disk loses nothing. What was stored is acknowledged, even when the note about it could not
      be written.
    - Only server processes write `datastore_v2.json`, atomically, one at a time, and each reads first what another
      server wrote: MONAI Label's writers do not re-read before writing, and erase what others wrote meanwhile.
    - Nothing is noted that could not be read back; of a damaged list every entry that is whole is kept.
    - Threads take turns, and a rescan replaces the list at once: MONAI Label empties it for a moment, in which a
      submitted label finds no image.
    - `.jpeg`, `.tiff`, `.dcm` and upper-case suffixes are images too, hidden files are none, and two files with one id
      are named in the log.
    - A folder that cannot be written is served for reading: labels and images are refused with that reason.

    Args:
        folder: the studies folder.
        guard: checks labels.
        auto_reload: watch the folder for new files.
    """

    def __init__(self, folder: str, guard: LabelGuard, *, auto_reload: bool) -> None:
        self._guard = guard
        server = not _in_task_process()
        self._read_only = server and not is_writable(Path(folder))
        self._writes = server and not self._read_only
        self._turn = threading.RLock()
        self._stamp: tuple[int, int, int] | None = None
        self._named: set[str] = set()
        patterns = [f"*{suffix}" for suffix in IMAGE_SUFFIXES]
        # What MONAI Label's own constructor sets; it would fail in a folder that cannot be written.
        self._extensions = patterns + [pattern.upper() for pattern in patterns]
        self._datastore_path, self._datastore_config_path = folder, os.path.join(folder, _CONFIG)
        self._auto_reload = auto_reload and server
        self._ignore_event_count, self._ignore_event_config = 0, False
        self._lock_file = os.path.join(folder, ".lock")
        self._file_lock = FileLock(self._lock_file, timeout=_LOCK_S)
        logging.getLogger("filelock").setLevel(logging.ERROR)
        self._datastore = self._based(
            LocalDatastoreModel(name="new-dataset", description="New Dataset", images_dir=".")
        )
        if self._read_only:
            logger.warning(
                "The studies folder %s cannot be written. Images are listed and segmented; labels and new images are "
                "refused. Make it writable and start again to annotate.",
                folder,
            )
        elif server:
            for tag in (DefaultLabelTag.FINAL, DefaultLabelTag.ORIGINAL):
                os.makedirs(self._datastore.label_path(tag), exist_ok=True)
        _set_corrupt_aside(Path(folder) / _CONFIG, self._writes)
        self._reconcile_datastore()
        if self._auto_reload:
            self._watch()

    @property
    def read_only(self) -> bool:
        """Whether the folder cannot be written, so that only reading is possible."""
        return self._read_only

    def add_image(
        self, image_id: str, image_filename: str, image_info: dict[str, Any], *, overwrite: bool = False
    ) -> str:
        """Copy an image into the study.

        Args:
            image_id: its id; empty takes the file's name.
            image_filename: the file.
            image_info: what is to be noted about it.
            overwrite: replace an image of that id; it and its labels are kept in `replaced/`.

        Raises:
            HTTPException: 400 when the id is no plain file name (`../x` would leave the study), or the file is none
                that the app reads; 409 when the study has an image of that id; 507 when it cannot be written.
        """
        file = Path(image_filename)
        stem, suffix = self._to_id(file.name)
        image = image_id or stem
        with self._answering():
            self._guard.check_new_image(image, file)
            check_note(image_info or {})
            with self._exclusive():
                known = self._datastore.objects.get(image)
                if known is not None and not overwrite:
                    raise HTTPException(
                        status_code=status.HTTP_409_CONFLICT,
                        detail=f"Expected `image` to be an id that the study does not have, got {image!r}. Choose "
                        "another id, or send `overwrite=true`: the former image and its labels are then kept in "
                        "`replaced/`.",
                    )
                target = Path(self._datastore.image_path()) / self._filename(image, suffix)
                former = self._files(image) if known is not None else []
                for path, kind in former:
                    self._guard.keep_replaced(image, path, kind)
                with file.open("rb") as source, atomic_write(target) as copy:
                    shutil.copyfileobj(source, copy)
                for path, _ in former:
                    if path != target.resolve():
                        path.unlink(missing_ok=True)
                info = {**(image_info or {}), "ts": int(time.time()), "name": target.name}
                self._datastore.objects[image] = ImageLabelModel(image=DataModel(info=info, ext=suffix))
                self._note_if_possible()
        return image

    def remove_image(self, image_id: str) -> None:
        """Take an image and its labels out of the study on a client's request; all are kept in `replaced/`.

        Raises:
            HTTPException: 404 for an image that the study does not have; 507 when no copy can be kept.
        """
        with self._answering(), self._exclusive():
            if image_id not in self._datastore.objects:
                raise not_found("image", image_id)
            files = self._files(image_id)
            for path, kind in files:
                self._guard.keep_replaced(image_id, path, kind)
            for path, _ in reversed(files):  # the labels first: an image without its label is an image
                path.unlink(missing_ok=True)
            del self._datastore.objects[image_id]
            self._note_if_possible()

    def save_label(self, image_id: str, label_filename: str, label_tag: str, label_info: dict[str, Any]) -> str:
        """Store a label; a `final` one only after it passed the guard.

        Raises:
            HTTPException: 400 with the reason, when the label, what is to be noted about it, or the tag is refused; 404
                for an image that the study does not have; 507 when the label cannot be written.
        """
        if image_id not in self._datastore.objects:
            raise not_found("image", image_id)
        with self._answering():
            self._guard.check_tag(label_tag)
            check_note(label_info or {})
            if label_tag != DefaultLabelTag.FINAL:
                return self._store(image_id, Path(label_filename), label_tag, label_info)
            self._check_writable()
            image = Path(self.get_image_uri(image_id))
            with self._guard.checked(image_id, image, Path(label_filename), label_info) as checked:
                return self._store(image_id, checked, label_tag, self._guard.noted(label_info, checked))

    def remove_label(self, label_id: str, label_tag: str) -> None:
        """Take a label out of the study on a client's request; a submitted one is kept in `replaced/`.

        Raises:
            HTTPException: 404 for a label that is not there; 507 when no copy can be kept.
        """
        with self._answering(), self._exclusive():
            entry = self._datastore.objects.get(label_id)
            if entry is None or label_tag not in entry.labels:
                raise not_found("label", label_id)
            current = Path(LocalDatastore.get_label_uri(self, label_id, label_tag))
            if label_tag == DefaultLabelTag.FINAL and current.exists():
                self._guard.keep_replaced(label_id, current)
            current.unlink(missing_ok=True)
            entry.labels.pop(label_tag, None)
            self._note_if_possible()

    def _store(self, image_id: str, label: Path, tag: str, info: dict[str, Any]) -> str:
        suffix = self._to_id(label.name)[1]
        with self._exclusive():
            # Below the lock: another server may have changed the list, and with it what is known here.
            folder = Path(self._datastore.label_path(tag))
            target = folder / self._filename(image_id, suffix)
            entry = self._datastore.objects.get(image_id)
            if entry is None:
                raise not_found("image", image_id)
            current = LocalDatastore.get_label_uri(self, image_id, tag)
            try:
                folder.mkdir(parents=True, exist_ok=True)
                if tag == DefaultLabelTag.FINAL and current and Path(current).exists():
                    self._guard.keep_replaced(image_id, Path(current))
                with label.open("rb") as source, atomic_write(target) as file:
                    shutil.copyfileobj(source, file)
            except OSError as error:
                raise StorageError(
                    f"Expected the label of {image_id} to be written, got: {error}. The former label is as it was; "
                    f"free some space on the disk of {self._datastore_path} and of the state, and submit again."
                ) from error
            if current and Path(current) != target.resolve():
                Path(current).unlink(missing_ok=True)  # the same label under another suffix
            entry.labels[tag] = DataModel(
                info={**(info or {}), "ts": int(time.time()), "name": target.name}, ext=suffix
            )
            self._note_if_possible()
        return image_id

    def update_image_info(self, image_id: str, info: dict[str, Any]) -> None:
        """Add to what is noted about an image.

        Raises:
            HTTPException: 400 for what could not be read back, 404 for an image that is not there, 507 when it cannot
                be written; what was noted before then stays.
        """
        with self._answering():
            check_note(info, "info")
            with self._exclusive():
                entry = self._datastore.objects.get(image_id)
                if entry is None:
                    raise not_found("image", image_id)
                self._add_to(entry.image, info)

    def update_label_info(self, label_id: str, label_tag: str, info: dict[str, Any]) -> None:
        """Add to what is noted about a label.

        Raises:
            HTTPException: as `update_image_info`.
        """
        with self._answering():
            check_note(info, "info")
            with self._exclusive():
                entry = self._datastore.objects.get(label_id)
                label = entry.labels.get(label_tag) if entry else None
                if label is None:
                    raise not_found("label", label_id)
                self._add_to(label, info)

    def get_labeled_images(self, label_tag: str | None = None, labels: list[str] | None = None) -> list[str]:
        """Images with a final label."""
        with self._turn:
            return [image for image, entry in self._datastore.objects.items() if DefaultLabelTag.FINAL in entry.labels]

    def get_unlabeled_images(self, label_tag: str | None = None, labels: list[str] | None = None) -> list[str]:
        """Images without a final label."""
        with self._turn:
            entries = self._datastore.objects.items()
            return [image for image, entry in entries if DefaultLabelTag.FINAL not in entry.labels]

    def list_images(self) -> list[str]:
        """Every image."""
        with self._turn:
            return list(self._datastore.objects)

    def datalist(self, full_path: bool = True) -> list[dict[str, Any]]:
        """Image and label file of every labelled image."""
        with self._turn:
            found: list[dict[str, Any]] = LocalDatastore.datalist(self, full_path)
        return found

    def status(self) -> dict[str, Any]:
        """Images in all, labelled images, and labels by tag."""
        with self._turn:
            counted: dict[str, Any] = LocalDatastore.status(self)
        return counted

    def json(self) -> Any:  # noqa: ANN401 - as MONAI Label has it
        """Everything that is noted."""
        with self._turn:
            return LocalDatastore.json(self)

    def get_dataset_archive(self, limit_cases: int | None) -> str:
        """Images, final labels and notes as a temporary archive.

        Raises:
            HTTPException: 404 when no image has a label.
        """
        with self._turn:
            if not self.datalist():
                raise not_found("dataset", "no labelled image")
            archive: str = LocalDatastore.get_dataset_archive(self, limit_cases)
        return archive

    def has_label_file(self, image_id: str) -> bool:
        """Whether a final label lies in the folder now, known here or just stored by another server."""
        folder = Path(self._datastore.label_path(DefaultLabelTag.FINAL))
        if (folder / self._filename(image_id, _LABEL_SUFFIX)).exists():
            return True
        known = LocalDatastore.get_label_uri(self, image_id, DefaultLabelTag.FINAL)
        return bool(known) and Path(known).exists()

    def _files(self, image_id: str) -> list[tuple[Path, str]]:
        """The files of an image that are there, itself first: path, and the tag of a label or `image`."""
        entry = self._datastore.objects[image_id]
        files = [(Path(LocalDatastore.get_image_uri(self, image_id)), "image")]
        files += [(Path(LocalDatastore.get_label_uri(self, image_id, tag)), tag) for tag in entry.labels]
        return [(path, kind) for path, kind in files if path.exists()]

    def _add_to(self, note: DataModel, info: dict[str, Any]) -> None:
        before = dict(note.info)
        note.info.update(info)
        try:
            self._update_datastore_file(lock=False)
        except OSError:
            note.info = before
            raise

    @contextmanager
    def _answering(self) -> Iterator[None]:
        """Errors of the app and of the disk, as the client gets them."""
        try:
            yield
        except SequalError as error:
            raise refusal(error) from error
        except OSError as error:
            raise refusal(
                StorageError(
                    f"Expected the studies folder {self._datastore_path} to be writable, got: {error}. Nothing was "
                    "changed; free some space on its disk and ask again."
                )
            ) from error

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
        with self._turn:
            if not self._writes:
                yield
                return
            try:
                self._file_lock.acquire()
            except Timeout as error:
                raise StorageError(
                    f"Expected {self._lock_file} to be free within {_LOCK_S:g} s, got one that another server holds. "
                    "Nothing was changed; ask again, or look whether that server hangs."
                ) from error
            try:
                self._init_from_datastore_file()
                yield
            finally:
                self._file_lock.release()

    def _watch(self) -> None:
        folders = [self._datastore.image_path()]
        tags = {DefaultLabelTag.FINAL.value, DefaultLabelTag.ORIGINAL.value, *self._datastore.labels_path()}
        folders += [self._datastore.label_path(tag) for tag in sorted(tags)]
        patterns = [f"{folder}{os.path.sep}{pattern}" for folder in folders for pattern in self._extensions]
        handler: Any = PatternMatchingEventHandler(patterns=[*patterns, self._datastore_config_path])
        handler.on_created = handler.on_deleted = self._on_any_event
        handler.on_modified, handler.on_moved = self._on_modify_event, self._on_moved_event
        try:
            polling = self._is_on_mount(self._datastore.image_path())
            self._observer = PollingObserver() if polling else Observer()
            self._observer.schedule(handler, recursive=True, path=self._datastore_path)
            self._observer.start()
        except OSError as error:
            logger.error("The studies folder cannot be watched (%s): new files are found at the next start.", error)

    def _on_moved_event(self, event: FileSystemEvent) -> None:
        # Copying programs write beside the image and rename; our own labels arrive that way too and are known.
        images = Path(self._datastore.image_path()).resolve()
        if images in {Path(os.fsdecode(path)).resolve().parent for path in (event.src_path, event.dest_path)}:
            self.refresh()

    def _init_from_datastore_file(self, throw_exception: bool = False) -> None:
        """Read the list where another process has written it; it is replaced as a whole."""
        with self._turn:
            config = Path(self._datastore_config_path)
            try:
                stamp = _stamp(config)
                if stamp != self._stamp:
                    self._datastore, self._stamp = self._based(read_list(config)), stamp
            except FileNotFoundError:
                return
            except (ValueError, OSError) as error:
                logger.error("%s cannot be read (%s); what was known before is worked with.", config, error)

    def _based(self, listed: LocalDatastoreModel) -> LocalDatastoreModel:
        listed.base_path = self._datastore_path
        return listed

    def _reconcile_datastore(self) -> None:
        with self._exclusive() if self._writes else self._turn:
            self._init_from_datastore_file()
            found = self._scan()
            if found != self._datastore.objects:
                logger.info("The study has %d images, %d before", len(found), len(self._datastore.objects))
                self._datastore.objects = found
                self._note_if_possible()

    def _scan(self) -> dict[str, ImageLabelModel]:
        """Images and labels as the files say, with what is noted about those that were known; the old order first."""
        known = self._datastore.objects
        labels_folder = Path(self._datastore.label_path(None))
        tags = sorted(path.name for path in labels_folder.iterdir() if path.is_dir()) if labels_folder.is_dir() else []
        images = self._suffixes(self._datastore.image_path())
        labels = {tag: self._suffixes(self._datastore.label_path(tag)) for tag in tags}
        order = [*(image for image in known if image in images), *sorted(images.keys() - known.keys())]
        return {
            image: ImageLabelModel(
                image=_entry(known[image].image if image in known else None, image, images[image]),
                labels={
                    tag: _entry(known[image].labels.get(tag) if image in known else None, image, labels[tag][image])
                    for tag in tags
                    if image in labels[tag]
                },
            )
            for image in order
        }

    def _suffixes(self, folder: str) -> dict[str, str]:
        """Suffix by id of the files in a folder; a missing folder has none."""
        if not os.path.isdir(folder):
            return {}
        return dict(self._to_id(name) for name in self._list_files(folder, self._extensions))

    def _to_id(self, file: str) -> tuple[str, str]:
        lowered = file.lower()
        for suffix in sorted(IMAGE_SUFFIXES, key=len, reverse=True):
            if lowered.endswith(suffix):
                return file[: -len(suffix)], file[-len(suffix) :]
        stem, extension = os.path.splitext(file)
        return stem, extension

    def _list_files(self, path: str, patterns: list[str]) -> dict[str, str]:
        files: dict[str, str] = super()._list_files(path, patterns)
        for name in [name for name in files if not is_storable_name(name)]:
            del files[name]
            if not name.startswith(".") and name not in self._named:
                self._named.add(name)
                logger.warning("Leaving out %r: expected a file name in UTF-8. Rename it.", name)
        seen: dict[str, str] = {}
        for name in sorted(files):
            stem, _ = self._to_id(name)
            if stem in seen:
                logger.warning("Two files with one id: %s is used, %s is not. Rename one of them.", seen[stem], name)
                del files[name]
            else:
                seen[stem] = name
        return files

    def _update_datastore_file(self, lock: bool = True) -> None:
        """Write the list.

        Raises:
            OSError: it cannot be written; the file is as it was.
        """
        if not self._writes:
            return
        if lock:
            with self._turn, self._file_lock:
                self._write_config()
        else:
            self._write_config()

    def _note_if_possible(self) -> None:
        """Write the list after files have changed: they are what counts, and are found again by their names."""
        try:
            self._update_datastore_file(lock=False)
        except OSError as error:
            logger.error("%s cannot be written (%s); it is written with the next change.", _CONFIG, error)

    def _write_config(self) -> None:
        content = json.dumps(self._datastore.model_dump(exclude={"base_path"}), indent=2, default=str)
        config = Path(self._datastore_config_path)
        _keep_previous(config)
        with atomic_write(config) as file:
            file.write(content.encode())
        self._stamp = _stamp(config)


def _entry(known: DataModel | None, stem: str, suffix: str) -> DataModel:
    """What is noted about a file, or a new note when it is new or came back under another suffix."""
    if known is not None and known.ext == suffix:
        return known
    return DataModel(info={"ts": int(time.time()), "name": stem + suffix}, ext=suffix)


def _in_task_process() -> bool:
    """Whether this is one of the processes in which MONAI Label trains or scores."""
    spec = getattr(sys.modules.get("__main__"), "__spec__", None)
    return getattr(spec, "name", None) == "monailabel.interfaces.utils.app"


def _stamp(path: Path) -> tuple[int, int, int]:
    found = path.stat()
    return found.st_ino, found.st_mtime_ns, found.st_size


def _keep_previous(config: Path) -> None:
    """Keep the list as it is, beside what is to take its place."""
    previous = config.with_name(config.name + PREVIOUS)
    with suppress(OSError):  # no hard links on this disk, or no list yet
        previous.unlink(missing_ok=True)
        os.link(config, previous)


def _set_corrupt_aside(config: Path, writes: bool) -> None:
    """Let the server start with a damaged `datastore_v2.json`: what is whole in it is kept, the rest is set aside."""
    try:
        read_list(config)
    except FileNotFoundError:
        return
    except (ValueError, OSError) as error:
        rescued = rescued_list(config)
        logger.error(
            "%s is damaged (%s); it is set aside. What it notes about %d images is kept; the rest is made again from "
            "the files.",
            config.name,
            str(error).splitlines()[0],
            len(rescued.objects),
        )
        if writes:
            config.rename(config.with_name(f"{config.name}.corrupt-{time.time_ns()}"))
            with atomic_write(config) as file:
                file.write(json.dumps(rescued.model_dump(exclude={"base_path"}), indent=2, default=str).encode())
    if writes:
        with suppress(OSError), atomic_write(config.with_name(config.name + PREVIOUS)) as copy:
            copy.write(config.read_bytes())  # no link: what damages the one file would damage both
