"""A folder of images as a MONAI Label datastore, safe for labels, quick in any size, for several processes."""

import logging
import os
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from monailabel.datastore.local import DataModel, ImageLabelModel, LocalDatastore
from monailabel.interfaces.datastore import DefaultLabelTag

from lib.configs import conflict, not_found, refusal
from lib.datastores.dataset_archive import dataset_archive
from lib.datastores.found_files import split_name
from lib.datastores.kept_list import KeptList
from lib.datastores.label_guard import MADE_BY, LabelGuard
from lib.datastores.notes import check_note
from sequal.errors import SequalError, StorageError
from sequal.files.text_files import same_text
from sequal.study.state import atomic_write

__all__ = ["StudyFolder"]

logger = logging.getLogger(__name__)

_LABEL_SUFFIX: Final = ".nii.gz"


class StudyFolder(KeptList):
    """MONAI Label's folder datastore with these differences, beside those of its list.

    - A submitted label of any tag passes the `LabelGuard` before it replaces anything; files are replaced by
      rename, so that a full disk loses nothing. What was stored is acknowledged, even when the note about it could not
      be written.
    - Nothing is noted that could not be read back.
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
        super().__init__(folder, auto_reload=auto_reload)
        if self._read_only:
            logger.warning(
                "The studies folder %s cannot be written. Images are listed and segmented; labels and new images are "
                "refused. Make it writable and start again to annotate.",
                folder,
            )
        elif self._writes:
            for tag in (DefaultLabelTag.FINAL, DefaultLabelTag.ORIGINAL):
                os.makedirs(self._datastore.label_path(tag), exist_ok=True)
        self._open()

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
        image = self.known_id(same_text(image_id or stem))
        with self._answering():
            self._guard.check_new_image(image, file)
            check_note(image_info or {})
            with self._exclusive():
                known = self._datastore.objects.get(image)
                if known is not None and not overwrite:
                    raise conflict(
                        f"Expected `image` to be an id that the study does not have, got {image!r}. Choose another id, "
                        "or send `overwrite=true`: the former image and its labels are then kept in `replaced/`."
                    )
                if known is None:
                    self._check_case(image)
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
                self._write_notes_if_possible([image])
        return image

    def _check_case(self, image: str) -> None:
        """Refuse a new id that many disks take for another one: there its label would replace that of the other.

        Raises:
            HTTPException: 409, with the id that the study has.
        """
        folded = image.casefold()
        twin = next((known for known in self._datastore.objects if known.casefold() == folded), None)
        if twin is not None:
            raise conflict(
                f"Expected `image` to differ from every id of the study in more than capitals, got {image!r} beside "
                f"{twin!r}. Choose another id."
            )

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
            self._write_notes_if_possible([image_id])

    def save_label(
        self,
        image_id: str,
        label_filename: str,
        label_tag: str,
        label_info: dict[str, Any],
        *,
        viewed: bool = False,
    ) -> str:
        """Store a label after it passed the guard, as `.nii.gz` on the grid of its image.

        Args:
            image_id: its image.
            label_filename: the file.
            label_tag: `final` for a submitted label.
            label_info: what is to be noted about it.
            viewed: whether it has the slices that the image has in a viewer, not those of its file.

        Raises:
            HTTPException: 400 with the reason, when the label, what is to be noted about it, or the tag is refused; 404
                for an image that the study does not have; 507 when the label cannot be written.
        """
        if image_id not in self._datastore.objects:
            raise not_found("image", image_id)
        with self._answering():
            self._guard.check_tag(label_tag)
            check_note(label_info or {})
            self._check_writable()
            image, final = Path(self.get_image_uri(image_id)), label_tag == DefaultLabelTag.FINAL
            submitted = Path(label_filename)
            with self._guard.checked(image_id, image, submitted, label_info, by_expert=final, viewed=viewed) as checked:
                info = self._guard.noted(label_info, checked, image) if final else label_info
                return self._store(image_id, checked.file, label_tag, info)

    def remove_label(self, label_id: str, label_tag: str) -> None:
        """Take a label out of the study on a client's request; one that no model made is kept in `replaced/`.

        Raises:
            HTTPException: 404 for a label that is not there; 507 when no copy can be kept.
        """
        with self._answering(), self._exclusive():
            entry = self._datastore.objects.get(label_id)
            if entry is None or label_tag not in entry.labels:
                raise not_found("label", label_id)
            current = Path(LocalDatastore.get_label_uri(self, label_id, label_tag))
            self._keep_of_expert(label_id, label_tag, current)
            current.unlink(missing_ok=True)
            entry.labels.pop(label_tag, None)
            self._write_notes_if_possible([label_id])

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
                if current:
                    self._keep_of_expert(image_id, tag, Path(current))
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
            self._write_notes_if_possible([image_id], durable=True)
        return image_id

    def image_notes(self, image_id: str) -> Mapping[str, Any]:
        """What is noted about an image, not to be changed: `get_image_info` without asking the disk for its path.

        A search looks at the notes of every image.
        """
        known = self._datastore.objects.get(image_id)
        notes: Mapping[str, Any] = known.image.info if known else {}
        return notes

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
                self._add_to(image_id, entry.image, info)

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
                self._add_to(label_id, label, info)

    def get_labeled_images(self, label_tag: str | None = None, labels: list[str] | None = None) -> list[str]:
        """Images with a final label, sorted."""
        with self._turn:
            return list(self.index.labelled)

    def get_unlabeled_images(self, label_tag: str | None = None, labels: list[str] | None = None) -> list[str]:
        """Images without a final label, sorted."""
        with self._turn:
            return list(self.index.unlabelled)

    def list_images(self) -> list[str]:
        """Every image."""
        with self._turn:
            return [image for image in self._datastore.objects if image not in self._left_out]

    def datalist(self, full_path: bool = True) -> list[dict[str, Any]]:
        """Image and label file of every labelled image."""
        with self._turn:
            found: list[dict[str, Any]] = LocalDatastore.datalist(self, full_path)
        return found

    def status(self) -> dict[str, Any]:
        """Images in all, labelled images, and labels by tag."""
        with self._turn:
            counts = self.index.counts()
            return {"total": len(self.index), "completed": len(self.index.labelled), "label_tags": counts}

    def json(self) -> Any:  # noqa: ANN401 - as MONAI Label has it
        """Everything that is noted."""
        with self._turn:
            return LocalDatastore.json(self)

    def get_dataset_archive(self, limit_cases: int | None) -> str:
        """Images, final labels and notes as a temporary archive. Others are answered while it is made.

        Args:
            limit_cases: so many images at most; None, or a number that is none: all.

        Raises:
            HTTPException: 404 when no image has a label.
        """
        with self._turn:
            notes = self._datastore.model_dump_json(exclude={"base_path"})
        return dataset_archive(self.datalist(), limit_cases, notes)

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

    def _keep_of_expert(self, image_id: str, tag: str, label: Path) -> None:
        """Copy a label that is about to go to `replaced/`, whatever its tag, unless a model made it."""
        noted = self._datastore.objects[image_id].labels.get(tag)
        by_model = tag != DefaultLabelTag.FINAL and noted is not None and MADE_BY in noted.info
        if not by_model and label.exists():
            self._guard.keep_replaced(image_id, label, tag)

    def _add_to(self, image_id: str, note: DataModel, info: dict[str, Any]) -> None:
        before = dict(note.info)
        note.info.update(info)
        try:
            self._write_notes([image_id])
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
                    f"Expected the studies folder {self._datastore_path} and the state to be writable, got: {error}. "
                    "Nothing was changed; free some space on their disks and ask again."
                )
            ) from error

    def _to_id(self, file: str) -> tuple[str, str]:
        stem, suffix = split_name(file)
        return (stem, suffix) if suffix else os.path.splitext(file)
