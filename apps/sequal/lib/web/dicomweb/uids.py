"""UIDs of the images of a folder: known without reading a file, and the way back from them."""

import threading
from typing import Protocol

from sequal.files.dicom import ImageIdentity
from sequal.files.dicom.uids import content_uid

__all__ = ["ServedIdentity", "ServedUids", "StudyImages"]


class StudyImages(Protocol):
    """What the service has to know of a study."""

    @property
    def salt(self) -> str:
        """The study's own random text: images of the same id in two studies are different images."""

    def images(self) -> list[str]:
        """Ids of all images, sorted."""

    def __contains__(self, image: object) -> bool:
        """Whether the study has an image of this id."""

    def patient(self, image: str) -> str:
        """Whose image it is."""

    def file(self, image: str) -> str:
        """The image's file; empty when it is gone."""

    def label_file(self, image: str) -> str:
        """The file of its submitted label; empty when there is none."""


class ServedIdentity(ImageIdentity):
    """Names and UIDs of an image as the server shows it.

    An exported image has UIDs of its content. Here they follow from the study and the image's id alone, so that ten
    thousand images are listed without reading one, and an image keeps its UIDs when its patient is corrected.
    `digest` is the study's own random text.
    """

    def uid(self, *parts: str | int) -> str:
        """The UID of a part of this image; the same parts give the same UID."""
        return content_uid("served", self.digest, self.image, *parts)


class ServedUids:
    """From image to UIDs and back, for the images that the study has at the moment.

    Safe to use from several threads.

    Args:
        study: whose images.
    """

    def __init__(self, study: StudyImages) -> None:
        self._study, self._salt = study, study.salt
        self._lock = threading.Lock()
        self._by_study: dict[str, str] = {}
        self._by_series: dict[str, str] = {}
        self._known: set[str] = set()

    def identity(self, image: str) -> ServedIdentity:
        """Names and UIDs of an image."""
        return ServedIdentity(self._study.patient(image), image, self._salt)

    def study(self, image: str) -> str:
        """StudyInstanceUID of an image."""
        return self._bare(image).study_uid

    def series(self, image: str) -> str:
        """SeriesInstanceUID of an image."""
        return self._bare(image).uid("images")

    def image_of_study(self, uid: str) -> str | None:
        """The image whose study it is; None when the study has none."""
        return self._find(self._by_study, uid)

    def image_of_series(self, uid: str) -> str | None:
        """The image whose series it is; None when the study has none."""
        return self._find(self._by_series, uid)

    def _bare(self, image: str) -> ServedIdentity:
        return ServedIdentity("", image, self._salt)

    def _find(self, known: dict[str, str], uid: str) -> str | None:
        if uid not in known:
            self._learn()
        image = known.get(uid)
        return image if image is not None and image in self._study else None

    def _learn(self) -> None:
        """Take up images that came since the last time."""
        with self._lock:
            new = [image for image in self._study.images() if image not in self._known]
            for image in new:
                self._by_study[self.study(image)] = image
                self._by_series[self.series(image)] = image
            self._known.update(new)
