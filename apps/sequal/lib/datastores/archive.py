"""What the app asks of a PACS over DICOMweb, with its failures as errors for people."""

import logging
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeVar

import requests
from dicomweb_client import DICOMwebClient
from monailabel.datastore.utils.dicom import dicom_web_download_series
from pydicom.dataset import Dataset
from pydicom.errors import InvalidDicomError
from requests.adapters import HTTPAdapter

from sequal.errors import ImageError, PacsError
from sequal.files.dicom.series_list import one_by_one

__all__ = ["ImageArchive", "Series", "with_timeout"]

logger = logging.getLogger(__name__)

T = TypeVar("T")

#: A server that answers nobody for longer stands still for everybody: MONAI Label's handlers wait in turn.
_CONNECT_S, _READ_S = 5.0, 30.0
#: After a failure, so long is not asked again: a list of a thousand series must not wait a thousand times.
_REST_S: Final = 3.0
_PAGE: Final = 500
_FIELDS: Final = (
    "PatientID",
    "IssuerOfPatientID",
    "PatientName",
    "PatientBirthDate",
    "StudyDate",
    "StudyTime",
    "StudyDescription",
    "NumberOfSeriesRelatedInstances",
)


@dataclass(frozen=True)
class Series:
    """One series as a PACS lists it; an empty text where it says nothing.

    Attributes:
        uid: SeriesInstanceUID.
        study: StudyInstanceUID.
        modality: `US`, `SEG` and so on.
        patient_id: PatientID, with its issuer where there is one.
        person: name and birth date, to tell two people of one id apart.
        date: StudyDate.
        time: StudyTime.
        instances: number of instances; 0 when the PACS does not count them.
        description: StudyDescription, which is the image's name where `cli.py to-dicom` wrote it.
    """

    uid: str
    study: str
    modality: str
    patient_id: str = ""
    person: tuple[str, str] = ("", "")
    date: str = ""
    time: str = ""
    instances: int = 0
    description: str = ""


class ImageArchive:
    """A PACS as a DICOMweb server.

    Args:
        client: of the server.
        fetch_by_frame: get the pixels frame by frame, for servers that give no whole instances.
    """

    def __init__(self, client: DICOMwebClient, *, fetch_by_frame: bool = False) -> None:
        self.client = client
        self._fetch_by_frame = fetch_by_frame
        self._rest_until = 0.0
        self._failure = ""
        client.set_http_retry_params(retry=False)

    def series(self, search_filter: dict[str, Any]) -> list[Series]:
        """Every series that a filter finds, sorted by UID.

        Args:
            search_filter: DICOM keyword to value; a list of modalities is asked for one after the other.

        Raises:
            PacsError: no usable answer.
        """
        filters = one_by_one(search_filter)
        found = [series for one in filters for series in self._ask("list its series", partial(self._pages, one))]
        return sorted({series.uid: series for series in found}.values(), key=lambda series: series.uid)

    def find(self, uid: str) -> Series | None:
        """One series of any modality, or None when the PACS does not have it.

        Raises:
            PacsError: no usable answer.
        """
        found = self.series({"SeriesInstanceUID": uid})
        return next((series for series in found if series.uid == uid), None)

    def download(self, series: Series, folder: Path) -> None:
        """Put the instances of a series into a folder, which is there afterwards whole or not at all.

        Raises:
            PacsError: no usable answer.
            ImageError: the PACS lists the series and has no instance of it.
        """
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".download-") as temporary:
            target = Path(temporary) / "series"
            self._ask(
                f"send series {series.uid}",
                lambda: dicom_web_download_series(
                    series.study, series.uid, str(target), self.client, self._fetch_by_frame
                ),
            )
            if not any(target.glob("*.dcm")):
                raise ImageError(f"Expected series {series.uid} to hold instances, got none. Look at it in the PACS.")
            target.rename(folder)

    def instances(self, series: Series) -> list[Dataset]:
        """The instances of a series, with their pixels.

        Raises:
            PacsError: no usable answer.
        """
        return self._ask(f"send series {series.uid}", lambda: self.client.retrieve_series(series.study, series.uid))

    def headers(self, series: Series) -> list[Dataset]:
        """The instances of a series without their pixels.

        Raises:
            PacsError: no usable answer.
        """
        found = self._ask(
            f"describe series {series.uid}", lambda: self.client.retrieve_series_metadata(series.study, series.uid)
        )
        return [Dataset.from_json(record) for record in found]

    def store(self, dataset: Dataset) -> None:
        """Send an object to the PACS.

        Raises:
            PacsError: it does not answer, or does not take the object.
        """
        answer = self._ask("take a segmentation", lambda: self.client.store_instances([dataset]))
        failed = answer.get("FailedSOPSequence") or []
        if failed:
            reason = failed[0].get("FailureReason", "unknown")
            raise PacsError(
                f"Expected {self.client.base_url} to take a segmentation, got failure reason {reason}. "
                "Look at the log of the PACS."
            )

    def _pages(self, search_filter: dict[str, Any]) -> list[Series]:
        """All pages; servers limit an answer, and some ignore the offset."""
        found: dict[str, Series] = {}
        while True:
            page = self.client.search_for_series(
                limit=_PAGE, offset=len(found), fields=_FIELDS, search_filters=search_filter
            )
            new = {series.uid: series for series in map(_series, page) if series.uid and series.uid not in found}
            found |= new
            if len(page) < _PAGE or not new:
                return [found[uid] for uid in sorted(found)]

    def _ask(self, what: str, ask: Callable[[], T]) -> T:
        if time.monotonic() < self._rest_until:
            raise PacsError(self._failure)
        try:
            return ask()
        except (requests.ConnectionError, requests.Timeout) as error:
            self._failure = self._no_answer(what, type(error).__name__)
            self._rest_until = time.monotonic() + _REST_S
            raise PacsError(self._failure) from error
        except requests.HTTPError as error:
            code = error.response.status_code if error.response is not None else "an error"
            raise PacsError(self._no_answer(what, f"HTTP {code}")) from error
        # The client's own parsing of what a server sends fails in many ways.
        except (ValueError, LookupError, TypeError, AttributeError, EOFError, InvalidDicomError) as error:
            raise PacsError(
                f"Expected {self.client.base_url} to {what}, got an answer that cannot be understood "
                f"({type(error).__name__}: {error}). Is this the address of a DICOMweb service?"
            ) from error
        except requests.RequestException as error:
            raise PacsError(self._no_answer(what, type(error).__name__)) from error

    def _no_answer(self, what: str, came: str) -> str:
        cure = {
            "HTTP 401": "Set MONAI_LABEL_DICOMWEB_USERNAME and MONAI_LABEL_DICOMWEB_PASSWORD.",
            "HTTP 403": "Ask for the right to do so, or look at the user name.",
            "HTTP 404": "Check the address in `--studies`.",
        }.get(came, "Start the PACS or check the address in `--studies`; nothing is lost meanwhile.")
        return f"Expected {self.client.base_url} to {what}, got {came}. {cure}"


class _TimeoutAdapter(HTTPAdapter):
    """Never waits for ever, which is what requests does by itself."""

    def send(self, request: requests.PreparedRequest, **more: Any) -> requests.Response:  # noqa: ANN401
        more["timeout"] = more.get("timeout") or (_CONNECT_S, _READ_S)
        return super().send(request, **more)


def with_timeout(session: requests.Session) -> requests.Session:
    """Let a session give up waiting."""
    for scheme in ("http://", "https://"):
        session.mount(scheme, _TimeoutAdapter())
    return session


def _series(record: dict[str, Any]) -> Series:
    listed = Dataset.from_json(record)

    def text(keyword: str) -> str:
        value = listed.get(keyword)
        return "" if value is None else str(value).strip()

    issuer = text("IssuerOfPatientID")
    return Series(
        uid=text("SeriesInstanceUID"),
        study=text("StudyInstanceUID"),
        modality=text("Modality"),
        patient_id=f"{text('PatientID')}@{issuer}" if issuer and text("PatientID") else text("PatientID"),
        person=(text("PatientName"), text("PatientBirthDate")),
        date=text("StudyDate"),
        time=text("StudyTime"),
        instances=int(text("NumberOfSeriesRelatedInstances") or 0),
        description=text("StudyDescription"),
    )
