"""Images and labels of a folder as DICOM objects, made when they are asked for and kept while there is room."""

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from cachetools import LRUCache
from pydicom.dataset import Dataset

from lib.web.dicomweb.uids import ServedUids, StudyImages
from sequal.errors import ImageError, LabelError
from sequal.files.dicom import OutgoingLabel, final_label, image_series, label_segmentation
from sequal.files.dicom.grid import slice_count
from sequal.files.imaging import read_frame
from sequal.files.imaging.claims import large_images_take_turns
from sequal.files.imaging.frame_count import frame_count

__all__ = ["ServedObjects"]

logger = logging.getLogger(__name__)

_LARGEST_BYTES: Final = 256 << 20
#: What a data set takes beside its pixels, roughly.
_HEADER_BYTES: Final = 32 << 10
#: Numbers that are kept of images.
_COUNTS: Final = 100_000
_LOCKS: Final = 16

_Stamp = tuple[int, int, int]


@dataclass(frozen=True, eq=False)
class _ServedLabel(OutgoingLabel):
    """A label whose UIDs follow from its file's stamp, so that they are known before it is read."""

    stamp: str = ""

    @property
    def digest(self) -> str:
        return self.stamp


class ServedObjects:
    """The same objects that `to-dicom` writes, under UIDs that follow from the image's id.

    Safe to use from several threads; two that ask for the same object wait for one that makes it.

    Args:
        study: gives the files.
        uids: names them.
        largest_bytes: of the objects that are kept; the ones asked for longest ago are dropped.
    """

    def __init__(self, study: StudyImages, uids: ServedUids, largest_bytes: int = _LARGEST_BYTES) -> None:
        self._study, self._uids = study, uids
        self._kept: LRUCache[Any, list[Dataset]] = LRUCache(largest_bytes, getsizeof=_size)
        self._counts: LRUCache[Any, int] = LRUCache(_COUNTS)
        self._turn = threading.Lock()
        self._making = tuple(threading.Lock() for _ in range(_LOCKS))

    def images(self, image: str) -> list[Dataset]:
        """The instances of an image, in the order of their numbers; not to be changed.

        Raises:
            ImageError: it cannot be read.
        """
        file = self._study.file(image)
        identity = self._uids.identity(image)

        def make() -> list[Dataset]:
            with large_images_take_turns(Path(file)):
                return list(image_series(read_frame(file), identity))

        return self._once(("image", image, identity.patient, _stamp(file)), make)

    def segmentation(self, image: str) -> Dataset | None:
        """The submitted label of an image as a segmentation; None when there is none, or none that fits the image.

        Raises:
            ImageError: the image cannot be read.
        """
        label, uid = self._study.label_file(image), self.segmentation_uid(image)
        if uid is None:
            return None
        file, images, identity = self._study.file(image), self.images(image), self._uids.identity(image)

        def make() -> list[Dataset]:
            try:
                with large_images_take_turns(Path(file)):
                    found = final_label(Path(label), read_frame(file))
            except LabelError as error:
                logger.warning("The label of %s is not shown: %s", image, error)
                return []
            stamped = _ServedLabel(found.kind, found.values, found.created_at, stamp=_text(_stamp(label)))
            return [label_segmentation(images, stamped, identity)]

        made = self._once(("label", image, identity.patient, _stamp(file), _stamp(label)), make)
        return made[0] if made else None

    def segmentation_uid(self, image: str) -> str | None:
        """SeriesInstanceUID of the submitted label, without reading it; None when there is none."""
        label = self._study.label_file(image)
        stamp = _stamp(label) if label else None
        return None if stamp is None else self._uids.identity(image).uid("segmentation series", _text(stamp))

    def instance_count(self, image: str) -> int:
        """Number of instances of an image, from its file's header; 0 for one that cannot be read."""
        file = self._study.file(image)
        key = (image, _stamp(file))
        with self._turn:
            known = self._counts.get(key)
        if known is not None:
            return known
        try:
            count = slice_count(frame_count(Path(file)))
        except ImageError:
            count = 0
        with self._turn:
            self._counts[key] = count
        return count

    def _once(self, key: tuple[object, ...], make: Callable[[], list[Dataset]]) -> list[Dataset]:
        with self._making[hash(key) % _LOCKS]:
            with self._turn:
                known = self._kept.get(key)
            if known is not None:
                return known
            made = make()
            with self._turn:
                # One that is larger than all that is kept is made again each time.
                if _size(made) <= self._kept.maxsize:
                    self._kept[key] = made
            return made


def _size(made: list[Dataset]) -> int:
    return sum(len(dataset.PixelData) + _HEADER_BYTES for dataset in made) + 1


def _stamp(file: str) -> _Stamp | None:
    try:
        found = Path(file).stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size


def _text(stamp: _Stamp | None) -> str:
    return "-".join(map(str, stamp or ()))
