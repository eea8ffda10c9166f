"""The DICOMweb service of a folder: searches (QIDO-RS) and retrievals (WADO-RS), as a viewer asks for them."""

import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NoReturn
from urllib.parse import parse_qs

import numpy as np
from fastapi import HTTPException, Response, status
from pydicom.dataset import Dataset
from pydicom.filewriter import dcmwrite
from pydicom.uid import ExplicitVRLittleEndian

from lib.web.dicomweb.dicom_json import encoded, metadata
from lib.web.dicomweb.media import ANY_SYNTAX, Accepted, accepted, fits, multipart
from lib.web.dicomweb.objects import ServedObjects
from lib.web.dicomweb.query import Search
from lib.web.dicomweb.searching import Catalogue, Page, Part
from lib.web.dicomweb.uids import ServedUids, StudyImages

__all__ = ["FolderService", "WebRequest"]

_JSON: Final = "application/dicom+json"
_DICOM: Final = "application/dicom"
_BYTES: Final = "application/octet-stream"
_SYNTAX: Final = str(ExplicitVRLittleEndian)
_PIXELS: Final = "7FE00010"
#: Objects change when a label does, and hold images of people: browsers keep none of them.
_HEADERS: Final = {"Cache-Control": "no-store"}
_FRAMES: Final = re.compile(r"[0-9]{1,9}(,[0-9]{1,9})*")
_SHOWN: Final = 80


@dataclass(frozen=True)
class WebRequest:
    """What a viewer asks.

    Attributes:
        path: below the service, percent-decoded, without a slash at either end.
        query: as it came, without its question mark.
        accept: its `Accept` header; empty for none.
        root: address of the service as the viewer knows it, for the addresses in the answers.
    """

    path: str
    query: str = ""
    accept: str = ""
    root: str = ""


class FolderService:
    """Answers what viewers ask of a PACS, for a study that is a folder.

    Every image is a DICOM study of its own with one series of images, and a second one with its submitted label.
    Nothing can be changed by way of it.

    Args:
        study: the images and labels.

    Attributes:
        study: as given.
        uids: of its images.
    """

    def __init__(self, study: StudyImages) -> None:
        self.study, self.uids = study, ServedUids(study)
        self._objects = ServedObjects(study, self.uids)
        self._catalogue = Catalogue(study, self.uids, self._objects)

    def ask(self, request: WebRequest) -> Response:
        """Answer a request.

        Raises:
            HTTPException: 404 for what is not there, 406 for a form that it does not have.
            SettingsError: a search cannot be understood.
            ImageError: the image cannot be read.
        """
        match request.path.split("/"):
            case ["studies" | "series" | "instances"] | ["studies", _, "series" | "instances"]:
                return self._search(request)
            case ["studies", _, "series", _, "instances"]:
                return self._search(request)
            case ["studies", study, *below]:
                return self._retrieve(request, study, below)
        _missing("a path of DICOMweb", request.path)

    # Searches

    def _search(self, request: WebRequest) -> Response:
        _check_json(request)
        search = Search.of(request.query)
        match request.path.split("/"):
            case ["studies"]:
                page = self._catalogue.studies(search, request.root)
            case ["series"]:
                page = self._catalogue.series(search, request.root)
            case ["instances"]:
                page = self._catalogue.instances(search, request.root)
            case [_, study, "series"]:
                page = self._catalogue.series(search, request.root, self._image(study))
            case [_, study, "instances"]:
                page = self._catalogue.instances(search, request.root, self._image(study))
            case [_, study, _, series, *_]:
                part = self._part(study, series)
                page = self._catalogue.instances(search, request.root, part.image, series)
        headers = _HEADERS | _warnings(page, search)
        if not page.results:
            return Response(status_code=status.HTTP_204_NO_CONTENT, headers=headers)
        return Response(encoded(page.results), media_type=_JSON, headers=headers)

    # Retrievals

    def _retrieve(self, request: WebRequest, study: str, below: list[str]) -> Response:
        match below:
            case []:
                return self._objects_of(request, self._all(study))
            case ["metadata"]:
                return self._metadata(request, self._all(study))
            case ["series", series]:
                return self._objects_of(request, self._instances(study, series))
            case ["series", series, "metadata"]:
                return self._metadata(request, self._instances(study, series))
            case ["series", series, "instances", instance]:
                return self._objects_of(request, [self._instance(study, series, instance)])
            case ["series", series, "instances", instance, "metadata"]:
                return self._metadata(request, [self._instance(study, series, instance)])
            case ["series", series, "instances", instance, "frames", numbers]:
                return _frames(request, self._instance(study, series, instance), numbers)
            case ["series", series, "instances", instance, "bulkdata", tag] if tag.upper() == _PIXELS:
                dataset = self._instance(study, series, instance)
                return _as_bytes(request, [bytes(dataset.PixelData)], [_address(request, dataset) + f"/bulkdata/{tag}"])
        _missing("a path of DICOMweb", request.path)

    def _objects_of(self, request: WebRequest, datasets: Sequence[Dataset]) -> Response:
        chosen = _choose(request, _DICOM)
        if chosen.media == _DICOM and len(datasets) == 1:
            return Response(_part_10(datasets[0]), media_type=_DICOM, headers=_HEADERS)
        locations = [_address(request, dataset) for dataset in datasets]
        media = f"{_DICOM}; transfer-syntax={_SYNTAX}"
        body, kind = multipart(map(_part_10, datasets), media, _DICOM, locations)
        return Response(body, headers=_HEADERS | {"Content-Type": kind})

    def _metadata(self, request: WebRequest, datasets: Sequence[Dataset]) -> Response:
        _check_json(request)
        found = [metadata(dataset, f"{_address(request, dataset)}/bulkdata/{_PIXELS}") for dataset in datasets]
        return Response(encoded(found), media_type=_JSON, headers=_HEADERS)

    # From UIDs to objects

    def _image(self, study: str) -> str:
        image = self.uids.image_of_study(study)
        return _missing("the UID of a study", study) if image is None else image

    def _part(self, study: str, series: str) -> Part:
        part = self._catalogue.part_of(self._image(study), series)
        return _missing("the UID of a series of this study", series) if part is None else part

    def _all(self, study: str) -> list[Dataset]:
        parts = self._catalogue.parts(self._image(study))
        return [dataset for part in parts for dataset in self._catalogue.datasets(part)]

    def _instances(self, study: str, series: str) -> list[Dataset]:
        found = self._catalogue.datasets(self._part(study, series))
        return found or _missing("the UID of a series that can be shown", series)

    def _instance(self, study: str, series: str, instance: str) -> Dataset:
        found = self._instances(study, series)
        dataset = next((dataset for dataset in found if dataset.SOPInstanceUID == instance), None)
        return _missing("the UID of an instance of this series", instance) if dataset is None else dataset


def _frames(request: WebRequest, dataset: Dataset, numbers: str) -> Response:
    if not _FRAMES.fullmatch(numbers):
        raise HTTPException(
            status.HTTP_400_BAD_REQUEST,
            f"Expected numbers of frames, separated by commas, got {numbers[:_SHOWN]!r}. Correct them.",
        )
    wanted, count = [int(number) for number in numbers.split(",")], int(dataset.get("NumberOfFrames") or 1)
    for number in wanted:
        if not 1 <= number <= count:
            _missing(f"a number of a frame from 1 to {count}", str(number))
    address = _address(request, dataset)
    contents = [_frame(dataset, number - 1, count) for number in wanted]
    return _as_bytes(request, contents, [f"{address}/frames/{number}" for number in wanted])


def _frame(dataset: Dataset, index: int, count: int) -> bytes:
    """The bytes of one frame; those of a mask, of which eight pixels share a byte, begin with a byte of their own."""
    pixels = int(dataset.Rows) * int(dataset.Columns)
    if dataset.BitsAllocated == 1:
        bits = np.unpackbits(np.frombuffer(dataset.PixelData, np.uint8), bitorder="little", count=pixels * count)
        return np.packbits(bits[index * pixels : (index + 1) * pixels], bitorder="little").tobytes()
    return bytes(dataset.PixelData[index * pixels : (index + 1) * pixels])


def _as_bytes(request: WebRequest, contents: Sequence[bytes], locations: Sequence[str]) -> Response:
    chosen = _choose(request, _BYTES)
    if chosen.media == _BYTES and len(contents) == 1:
        return Response(contents[0], media_type=_BYTES, headers=_HEADERS)
    body, kind = multipart(contents, f"{_BYTES}; transfer-syntax={_SYNTAX}", _BYTES, locations)
    return Response(body, headers=_HEADERS | {"Content-Type": kind})


def _part_10(dataset: Dataset) -> bytes:
    file = io.BytesIO()
    dcmwrite(file, dataset, write_like_original=False)
    return file.getvalue()


def _wanted(request: WebRequest) -> list[Accepted]:
    """What a client takes, from its query (DICOM PS3.18, 8.3.3.1) or its header."""
    return accepted(parse_qs(request.query, max_num_fields=100).get("accept", [request.accept])[0])


def _choose(request: WebRequest, offered: str) -> Accepted:
    for form in _wanted(request):
        if fits(form.inner, offered) and form.syntax in (ANY_SYNTAX, _SYNTAX):
            return form
    raise _not_acceptable(f'multipart/related; type="{offered}"; transfer-syntax={_SYNTAX}')


def _check_json(request: WebRequest) -> None:
    forms = _wanted(request)
    if not any(fits(form.inner, media) for form in forms for media in (_JSON, "application/json")):
        raise _not_acceptable(_JSON)


def _address(request: WebRequest, dataset: Dataset) -> str:
    return (
        f"{request.root}/studies/{dataset.StudyInstanceUID}/series/{dataset.SeriesInstanceUID}"
        f"/instances/{dataset.SOPInstanceUID}"
    )


def _warnings(page: Page, search: Search) -> dict[str, str]:
    """What is to be known about the results (DICOM PS3.18, 8.3.4.4)."""
    said = []
    if page.more:
        said.append("There are further results that can be requested.")
    if search.fuzzy:
        said.append("The fuzzymatching parameter is not supported. Only literal matching has been performed.")
    if page.unknown:
        said.append(f"Nothing is compared with {' '.join(page.unknown)}.")
    return {"Warning": ", ".join(f'299 sequal "{text}"' for text in said)} if said else {}


def _missing(what: str, came: str) -> NoReturn:
    raise HTTPException(
        status.HTTP_404_NOT_FOUND, f"Expected {what}, got {came[:_SHOWN]!r}. Search for the objects that exist."
    )


def _not_acceptable(offered: str) -> HTTPException:
    return HTTPException(
        status.HTTP_406_NOT_ACCEPTABLE, f"Expected `Accept` to take {offered}, got another. Ask for this form."
    )
