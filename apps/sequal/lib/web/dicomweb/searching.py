"""Searches for studies, series and instances in a folder."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final, Literal

from pydicom.dataset import Dataset
from pydicom.uid import SegmentationStorage, UltrasoundImageStorage

from lib.web.dicomweb.dicom_json import result
from lib.web.dicomweb.objects import ServedObjects
from lib.web.dicomweb.query import Search, matches
from lib.web.dicomweb.uids import ServedUids, StudyImages
from sequal.errors import ImageError
from sequal.files.dicom.text import short_text

__all__ = ["Catalogue", "Page", "Part"]

Kind = Literal["images", "label"]
_MODALITY: Final[Mapping[Kind, str]] = {"images": "US", "label": "SEG"}
_CLASS: Final[Mapping[Kind, str]] = {"images": UltrasoundImageStorage, "label": SegmentationStorage}
_NUMBER: Final[Mapping[Kind, int]] = {"images": 1, "label": 100}
#: Taken over from the objects themselves into the answer to a search.
_OF_SERIES: Final = ("SeriesDescription", "SeriesDate", "SeriesTime", "ContentLabel")
_OF_INSTANCE: Final = ("Rows", "Columns", "BitsAllocated", "NumberOfFrames", "PhotometricInterpretation")


@dataclass(frozen=True)
class Part:
    """A study, one of its series, or one of the instances of that.

    Attributes:
        image: id of the image, which is a study of its own.
        kind: of the series.
        index: of the instance in it, from 0 on.
    """

    image: str
    kind: Kind = "images"
    index: int = 0


@dataclass(frozen=True)
class Page:
    """Results of a search.

    Attributes:
        results: as DICOM JSON.
        more: whether further ones follow.
        unknown: attributes that were asked for and that nothing is compared with.
    """

    results: list[dict[str, Any]]
    more: bool
    unknown: tuple[str, ...]


_Attributes = Mapping[str, Callable[[Part], object]]


class Catalogue:
    """What a folder has, as a PACS would list it: each image is a study of its own.

    Args:
        study: the images.
        uids: names them.
        objects: makes them.
    """

    def __init__(self, study: StudyImages, uids: ServedUids, objects: ServedObjects) -> None:
        self._study, self._uids, self._objects = study, uids, objects
        self._of_study: _Attributes = {
            "StudyInstanceUID": lambda part: uids.study(part.image),
            "PatientID": lambda part: short_text(study.patient(part.image)),
            "PatientName": lambda part: short_text(study.patient(part.image)),
            "StudyDescription": lambda part: short_text(part.image),
            "ModalitiesInStudy": self._modalities,
            **dict.fromkeys(
                ("StudyDate", "StudyTime", "AccessionNumber", "ReferringPhysicianName", "StudyID"), _nothing
            ),
            **dict.fromkeys(("PatientBirthDate", "PatientSex"), _nothing),
        }
        self._of_series: _Attributes = {
            "SeriesInstanceUID": self._series_uid,
            "Modality": lambda part: _MODALITY[part.kind],
            "SeriesNumber": lambda part: _NUMBER[part.kind],
        }
        self._of_instance: _Attributes = {
            "SOPInstanceUID": self._instance_uid,
            "SOPClassUID": lambda part: str(_CLASS[part.kind]),
            "InstanceNumber": lambda part: part.index + 1,
        }

    def studies(self, search: Search, root: str) -> Page:
        """Find studies.

        Args:
            search: what is looked for.
            root: address of the service.
        """
        found = (Part(image) for image in self._candidates(search))
        return self._page(search, found, self._of_study, lambda part: self._study_result(part, root))

    def series(self, search: Search, root: str, image: str | None = None) -> Page:
        """Find series, of one image or of all; the search and the root are as for `studies`."""
        images = self._candidates(search) if image is None else [image]
        found = (part for one in images for part in self.parts(one))
        compared = {**self._of_study, **self._of_series}
        return self._page(search, found, compared, lambda part: self._series_result(part, root, whole=image is None))

    def instances(self, search: Search, root: str, image: str | None = None, series: str | None = None) -> Page:
        """Find instances, of one image, one of its series, or of all; the search and the root are as for `studies`."""
        images = self._candidates(search) if image is None else [image]
        parts = (part for one in images for part in self.parts(one))
        found = (
            Part(part.image, part.kind, index)
            for part in parts
            if series is None or self._series_uid(part) == series
            for index in range(self._count(part))
        )
        compared = {**self._of_study, **self._of_series, **self._of_instance}
        return self._page(search, found, compared, lambda part: self._instance_result(part, root, whole=image is None))

    def parts(self, image: str) -> list[Part]:
        """The series of an image: itself, and its submitted label where there is one."""
        labelled = self._objects.segmentation_uid(image) is not None
        return [Part(image), Part(image, "label")] if labelled else [Part(image)]

    def part_of(self, image: str, series: str) -> Part | None:
        """The series of that UID; None when the image has none."""
        return next((part for part in self.parts(image) if self._series_uid(part) == series), None)

    def datasets(self, part: Part) -> list[Dataset]:
        """The instances of a series; none when its label does not fit the image.

        Raises:
            ImageError: the image cannot be read.
        """
        if part.kind == "images":
            return self._objects.images(part.image)
        label = self._objects.segmentation(part.image)
        return [] if label is None else [label]

    def _candidates(self, search: Search) -> Iterable[str]:
        """The images that may fit, found quickly where their UIDs are asked for."""
        if "StudyInstanceUID" in search.wanted:
            uids = search.wanted["StudyInstanceUID"].replace(",", "\\").split("\\")
            return sorted({image for uid in uids if (image := self._uids.image_of_study(uid)) is not None})
        return self._study.images()

    def _page(
        self,
        search: Search,
        found: Iterator[Part],
        compared: _Attributes,
        show: Callable[[Part], dict[str, object] | None],
    ) -> Page:
        wanted = {key: pattern for key, pattern in search.wanted.items() if key in compared}
        fitting = (part for part in found if all(matches(key, compared[key](part), wanted[key]) for key in wanted))
        page = list(islice(fitting, search.offset, search.offset + search.limit))
        more = next(fitting, None) is not None
        shown = (show(part) for part in page)
        unknown = tuple(sorted(search.wanted.keys() - wanted.keys()))
        return Page([result(values) for values in shown if values is not None], more, unknown)

    def _study_result(self, part: Part, root: str) -> dict[str, object]:
        count = self._objects.instance_count(part.image)
        series = len(self.parts(part.image))
        return {
            **_values(self._of_study, part),
            "InstanceAvailability": "ONLINE",
            "RetrieveURL": f"{root}/studies/{self._uids.study(part.image)}",
            "NumberOfStudyRelatedSeries": series,
            "NumberOfStudyRelatedInstances": count + series - 1,
        }

    def _series_result(self, part: Part, root: str, *, whole: bool) -> dict[str, object] | None:
        """None for a series that cannot be made."""
        datasets = self._made(part)
        if not datasets:
            return None
        study, series = self._uids.study(part.image), self._series_uid(part)
        return {
            **(_values(self._of_study, part) if whole else {"StudyInstanceUID": study}),
            **_values(self._of_series, part),
            **_taken(datasets[0], _OF_SERIES),
            "RetrieveURL": f"{root}/studies/{study}/series/{series}",
            "NumberOfSeriesRelatedInstances": len(datasets),
        }

    def _instance_result(self, part: Part, root: str, *, whole: bool) -> dict[str, object] | None:
        datasets = self._made(part)
        if part.index >= len(datasets):
            return None
        study, series, instance = self._uids.study(part.image), self._series_uid(part), self._instance_uid(part)
        return {
            **(_values(self._of_study, part) if whole else {"StudyInstanceUID": study}),
            **_values(self._of_series, part),
            **_values(self._of_instance, part),
            **_taken(datasets[part.index], _OF_INSTANCE),
            "InstanceAvailability": "ONLINE",
            "RetrieveURL": f"{root}/studies/{study}/series/{series}/instances/{instance}",
        }

    def _made(self, part: Part) -> list[Dataset]:
        try:
            return self.datasets(part)
        except ImageError:
            return []

    def _count(self, part: Part) -> int:
        return self._objects.instance_count(part.image) if part.kind == "images" else 1

    def _modalities(self, part: Part) -> list[str]:
        return sorted(_MODALITY[series.kind] for series in self.parts(part.image))

    def _series_uid(self, part: Part) -> str:
        if part.kind == "images":
            return self._uids.series(part.image)
        return self._objects.segmentation_uid(part.image) or ""

    def _instance_uid(self, part: Part) -> str:
        if part.kind == "images":
            return self._uids.identity(part.image).uid("image", part.index)
        made = self._made(part)
        return str(made[0].SOPInstanceUID) if made else ""


def _nothing(part: Part) -> None:
    """The files of a study tell no dates and no persons."""


def _values(attributes: _Attributes, part: Part) -> dict[str, object]:
    return {keyword: value(part) for keyword, value in attributes.items()}


def _taken(dataset: Dataset, keywords: Iterable[str]) -> dict[str, object]:
    found = {keyword: dataset[keyword].value for keyword in keywords if keyword in dataset}
    return {keyword: int(value) if isinstance(value, int) else str(value) for keyword, value in found.items()}
