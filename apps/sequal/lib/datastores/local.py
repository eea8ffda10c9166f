"""A folder of images as a MONAI Label datastore, safe for labels and for several processes."""

import json
import logging
import os
import shutil
import sys
import time
from pathlib import Path
from typing import Any, Final

from filelock import FileLock
from monailabel.datastore.local import DataModel, LocalDatastore
from monailabel.interfaces.datastore import DefaultLabelTag
from monailabel.interfaces.exception import ImageNotFoundException

from lib.configs.refusal import refusal
from lib.datastores.label_guard import LabelGuard
from lib.errors import LabelError, SequalError
from lib.imaging import IMAGE_SUFFIXES
from lib.state import atomic_write

__all__ = ["StudyFolder"]

logger = logging.getLogger(__name__)

_CONFIG: Final = "datastore_v2.json"
_LABEL_SUFFIX: Final = ".nii.gz"


class StudyFolder(LocalDatastore):
    """MONAI Label's folder datastore with three differences.

    - A submitted (`final`) label passes the `LabelGuard` before it replaces anything; files are replaced by
      rename, so that a full disk loses nothing.
    - Only the server process writes `datastore_v2.json`, atomically: MONAI Label's writers do not re-read before
      writing, so a training or scoring process would erase what the server wrote meanwhile.
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
        _set_corrupt_aside(Path(folder) / _CONFIG, self._writes)
        super().__init__(folder, extensions=patterns, auto_reload=auto_reload and self._writes)

    def save_label(self, image_id: str, label_filename: str, label_tag: str, label_info: dict[str, Any]) -> str:
        """Store a label; a `final` one only after it passed the guard.

        Raises:
            HTTPException: 400 with the reason, when the label or the tag is refused; 507 when it cannot be written.
            ImageNotFoundException: the study has no such image.
        """
        if image_id not in self._datastore.objects:
            raise ImageNotFoundException(f"Image {image_id} not found")
        try:
            self._guard.check_tag(label_tag)
            if label_tag != DefaultLabelTag.FINAL:
                return self._store(image_id, Path(label_filename), label_tag, label_info)
            with self._guard.checked(image_id, Path(self.get_image_uri(image_id)), Path(label_filename)) as checked:
                return self._store(image_id, checked, label_tag, label_info)
        except SequalError as error:
            raise refusal(error) from error

    def remove_label(self, label_id: str, label_tag: str) -> None:
        """Take a label out of the study on a client's request; a submitted one is kept in `replaced/`."""
        current = self.get_label_uri(label_id, label_tag)
        if label_tag == DefaultLabelTag.FINAL and current and Path(current).exists():
            self._guard.keep_replaced(label_id, Path(current))
        super().remove_label(label_id, label_tag)

    def _store(self, image_id: str, label: Path, tag: str, info: dict[str, Any]) -> str:
        folder = Path(self._datastore.label_path(tag))
        suffix = self._to_id(label.name)[1]
        target = folder / self._filename(image_id, suffix)
        current = self.get_label_uri(image_id, tag)
        try:
            with FileLock(self._lock_file):
                folder.mkdir(parents=True, exist_ok=True)
                if tag == DefaultLabelTag.FINAL and current and Path(current).exists():
                    self._guard.keep_replaced(image_id, Path(current))
                with label.open("rb") as source, atomic_write(target) as file:
                    shutil.copyfileobj(source, file)
                if current and Path(current) != target.resolve():
                    Path(current).unlink(missing_ok=True)  # the same label under another suffix
                model = DataModel(info={**(info or {}), "ts": int(time.time()), "name": target.name}, ext=suffix)
                self._datastore.objects[image_id].labels[tag] = model
                self._update_datastore_file(lock=False)
        except OSError as error:
            raise LabelError(
                f"Expected the label of {image_id} to be written, got: {error}. The former label is as it was; "
                "free some space and submit again."
            ) from error
        return image_id

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


def _in_task_process() -> bool:
    """Whether this is one of the processes in which MONAI Label trains or scores."""
    spec = getattr(sys.modules.get("__main__"), "__spec__", None)
    return getattr(spec, "name", None) == "monailabel.interfaces.utils.app"


def _set_corrupt_aside(config: Path, writes: bool) -> None:
    """Let the server start with a damaged `datastore_v2.json`: images and labels are found again by their files."""
    if not config.exists():
        return
    try:
        json.loads(config.read_text())
    except ValueError as error:
        logger.error("%s is damaged (%s); it is set aside and made again from the files.", config.name, error)
        if writes:
            config.rename(config.with_name(f"{config.name}.corrupt-{time.time_ns()}"))
