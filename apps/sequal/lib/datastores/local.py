"""A folder of images as a MONAI Label datastore, safe for labels and for several processes."""

import json
import logging
import os
import shutil
import sys
import threading
import time
from pathlib import Path
from typing import Any, Final

from fastapi import HTTPException, status
from filelock import FileLock
from monailabel.datastore.local import DataModel, ImageLabelModel, LocalDatastore, LocalDatastoreModel
from monailabel.interfaces.datastore import DefaultLabelTag
from watchdog.events import FileSystemEvent

from lib.configs import not_found, refusal
from lib.datastores.label_guard import LabelGuard
from lib.errors import SequalError
from lib.imaging import IMAGE_SUFFIXES
from lib.state import atomic_write

__all__ = ["StudyFolder"]

logger = logging.getLogger(__name__)

_CONFIG: Final = "datastore_v2.json"
_LABEL_SUFFIX: Final = ".nii.gz"


class StudyFolder(LocalDatastore):
    """MONAI Label's folder datastore with four differences.

    - A submitted (`final`) label passes the `LabelGuard` before it replaces anything; files are replaced by
      rename, so that a full disk loses nothing.
    - Only the server process writes `datastore_v2.json`, atomically: MONAI Label's writers do not re-read before
      writing, so a training or scoring process would erase what the server wrote meanwhile.
    - The watcher's thread and the server's take turns, and a rescan replaces the list at once: MONAI Label empties
      it for a moment, in which a submitted label finds no image.
    - `.jpeg`, `.tiff`, `.dcm` and upper-case suffixes are images too, and two files with one id are named in the
      log.

    Args:
        folder: the studies folder.
        guard: checks labels.
        auto_reload: watch the folder for new files.
    """

    def __init__(self, folder: str, guard: LabelGuard, *, auto_reload: bool) -> None:
        self._guard = guard
        self._writes = not _in_task_process()
        patterns = [f"*{suffix}" for suffix in IMAGE_SUFFIXES]
        patterns += [pattern.upper() for pattern in patterns]
        self._turn = threading.RLock()
        _set_corrupt_aside(Path(folder) / _CONFIG, self._writes)
        # By name: the study of a PACS has another of MONAI Label's datastores between.
        LocalDatastore.__init__(self, folder, extensions=patterns, auto_reload=auto_reload and self._writes)
        if hasattr(self, "_handler"):
            self._handler.on_moved = self._on_moved_event

    def add_image(self, image_id: str, image_filename: str, image_info: dict[str, Any]) -> str:
        """Copy an image into the study.

        Raises:
            HTTPException: 400 when the id is no plain file name (`../x` would leave the study), or the file is of no
                kind that the app reads.
        """
        try:
            self._guard.check_new_image(image_id, Path(image_filename))
        except SequalError as error:
            raise refusal(error) from error
        with self._turn:
            added: str = super().add_image(image_id, image_filename, image_info)
        return added

    def save_label(self, image_id: str, label_filename: str, label_tag: str, label_info: dict[str, Any]) -> str:
        """Store a label; a `final` one only after it passed the guard.

        Raises:
            HTTPException: 400 with the reason, when the label or the tag is refused; 404 for an image that the study
                does not have; 507 when the label cannot be written.
        """
        if image_id not in self._datastore.objects:
            raise not_found("image", image_id)
        try:
            self._guard.check_tag(label_tag)
            if label_tag != DefaultLabelTag.FINAL:
                return self._store(image_id, Path(label_filename), label_tag, label_info)
            image = Path(self.get_image_uri(image_id))
            with self._guard.checked(image_id, image, Path(label_filename), label_info) as checked:
                return self._store(image_id, checked, label_tag, self._guard.noted(label_info, checked))
        except SequalError as error:
            raise refusal(error) from error

    def remove_label(self, label_id: str, label_tag: str) -> None:
        """Take a label out of the study on a client's request; a submitted one is kept in `replaced/`."""
        current = self.get_label_uri(label_id, label_tag)
        if label_tag == DefaultLabelTag.FINAL and current and Path(current).exists():
            self._guard.keep_replaced(label_id, Path(current))
        super().remove_label(label_id, label_tag)
        self.refresh()

    def _store(self, image_id: str, label: Path, tag: str, info: dict[str, Any]) -> str:
        folder = Path(self._datastore.label_path(tag))
        suffix = self._to_id(label.name)[1]
        target = folder / self._filename(image_id, suffix)
        try:
            with self._turn, FileLock(self._lock_file):
                entry = self._datastore.objects.get(image_id)
                if entry is None:
                    raise not_found("image", image_id)
                current = LocalDatastore.get_label_uri(self, image_id, tag)
                folder.mkdir(parents=True, exist_ok=True)
                if tag == DefaultLabelTag.FINAL and current and Path(current).exists():
                    self._guard.keep_replaced(image_id, Path(current))
                with label.open("rb") as source, atomic_write(target) as file:
                    shutil.copyfileobj(source, file)
                if current and Path(current) != target.resolve():
                    Path(current).unlink(missing_ok=True)  # the same label under another suffix
                entry.labels[tag] = DataModel(
                    info={**(info or {}), "ts": int(time.time()), "name": target.name}, ext=suffix
                )
                self._update_datastore_file(lock=False)
        except OSError as error:
            raise HTTPException(
                status_code=status.HTTP_507_INSUFFICIENT_STORAGE,
                detail=f"Expected the label of {image_id} to be written, got: {error}. The former label is as it was; "
                "free some space and submit again.",
            ) from error
        return image_id

    def update_image_info(self, image_id: str, info: dict[str, Any]) -> None:
        """Add to what is noted about an image."""
        with self._turn:
            super().update_image_info(image_id, info)

    def update_label_info(self, label_id: str, label_tag: str, info: dict[str, Any]) -> None:
        """Add to what is noted about a label."""
        with self._turn:
            super().update_label_info(label_id, label_tag, info)

    def _on_moved_event(self, event: FileSystemEvent) -> None:
        # Copying programs write beside the image and rename; our own labels arrive that way too and are known.
        images = Path(self._datastore.image_path()).resolve()
        if images in {Path(os.fsdecode(path)).resolve().parent for path in (event.src_path, event.dest_path)}:
            self.refresh()

    def _init_from_datastore_file(self, throw_exception: bool = False) -> None:
        with self._turn:
            super()._init_from_datastore_file(throw_exception)

    def _reconcile_datastore(self) -> None:
        with self._turn:
            self._init_from_datastore_file()
            found = self._scan()
            if found != self._datastore.objects:
                logger.info("The study has %d images, %d before", len(found), len(self._datastore.objects))
                self._datastore.objects = found
                self._update_datastore_file()

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
        if not self._writes:
            return
        if lock:
            with FileLock(self._lock_file):
                self._write_config()
        else:
            self._write_config()

    def _write_config(self) -> None:
        content = json.dumps(self._datastore.model_dump(exclude={"base_path"}), indent=2, default=str)
        with atomic_write(Path(self._datastore_config_path)) as file:
            file.write(content.encode())
        self._config_ts = os.stat(self._datastore_config_path).st_mtime


def _entry(known: DataModel | None, stem: str, suffix: str) -> DataModel:
    """What is noted about a file, or a new note when it is new or came back under another suffix."""
    if known is not None and known.ext == suffix:
        return known
    return DataModel(info={"ts": int(time.time()), "name": stem + suffix}, ext=suffix)


def _in_task_process() -> bool:
    """Whether this is one of the processes in which MONAI Label trains or scores."""
    spec = getattr(sys.modules.get("__main__"), "__spec__", None)
    return getattr(spec, "name", None) == "monailabel.interfaces.utils.app"


def _set_corrupt_aside(config: Path, writes: bool) -> None:
    """Let the server start with a damaged `datastore_v2.json`: images and labels are found again by their files."""
    if not config.exists():
        return
    try:
        LocalDatastoreModel.model_validate_json(config.read_text())
    except ValueError as error:
        logger.error("%s is damaged (%s); it is set aside and made again from the files.", config.name, error)
        if writes:
            config.rename(config.with_name(f"{config.name}.corrupt-{time.time_ns()}"))
