"""The series of a PACS that are images, each with a name that people know it by."""

import json
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import requests
from dicomweb_client import DICOMwebClient
from pydicom.dataset import Dataset

from sequal.errors import PacsError, SettingsError
from sequal.files.dicom.connection import PASSWORD_VARIABLE, USER_VARIABLE

__all__ = ["ListedSeries", "list_series", "modality_filter", "narrowed", "one_by_one", "search_filter", "series_names"]

#: The server's own setting; docs/pacs.md says what it is for.
_FILTER_VARIABLE: Final = "MONAI_LABEL_DICOMWEB_SEARCH_FILTER"
_MODALITY: Final = "Modality"
_PAGE: Final = 500
_FIELDS: Final = ("PatientID", "PatientName", "StudyDescription", "SeriesDescription", "StudyDate", "SeriesNumber")
_UID_SHOWN: Final = 8


@dataclass(frozen=True)
class ListedSeries:
    """One series as a PACS lists it; an empty text where it says nothing.

    Attributes:
        uid: SeriesInstanceUID.
        study: StudyInstanceUID.
        modality: `US` for ultrasound.
        patient: PatientID, else the name.
        descriptions: of the study and of the series.
        date: StudyDate.
        number: SeriesNumber.
    """

    uid: str
    study: str
    modality: str = "US"
    patient: str = ""
    descriptions: tuple[str, str] = ("", "")
    date: str = ""
    number: str = ""


def modality_filter(modalities: Sequence[str]) -> dict[str, Any]:
    """The search filter that finds all series of some modalities.

    >>> modality_filter(["US"]), modality_filter(["CT", "MR"])
    ({'Modality': 'US'}, {'Modality': ['CT', 'MR']})
    """
    return {_MODALITY: modalities[0] if len(modalities) == 1 else list(modalities)}


def narrowed(wanted: Mapping[str, Any], modalities: Sequence[str]) -> dict[str, Any]:
    """A search filter for those series that are of some modalities; an empty list finds none.

    >>> narrowed({"PatientID": "p"}, ["US"]), narrowed({"Modality": ["CT", "US"]}, ["CT", "MR"])
    ({'PatientID': 'p', 'Modality': 'US'}, {'Modality': 'CT'})
    """
    asked = wanted.get(_MODALITY, modalities)
    asked = [asked] if isinstance(asked, str) else asked
    return {**wanted, **modality_filter([modality for modality in modalities if modality in asked])}


def one_by_one(wanted: Mapping[str, Any]) -> list[dict[str, Any]]:
    """A search filter with a list of modalities as one filter for each: few servers take several values.

    >>> one_by_one({"Modality": ["CT", "MR"], "PatientID": "p"})
    [{'Modality': 'CT', 'PatientID': 'p'}, {'Modality': 'MR', 'PatientID': 'p'}]
    """
    several = wanted.get(_MODALITY)
    return [{**wanted, _MODALITY: one} for one in several] if isinstance(several, list) else [dict(wanted)]


def search_filter(modalities: Sequence[str] = ("US",)) -> dict[str, Any]:
    """What the server looks for with the same environment; where nothing is said, series of these modalities.

    Raises:
        SettingsError: the variable holds no JSON object.
    """
    text = os.environ.get(_FILTER_VARIABLE, "")
    try:
        found = json.loads(text) if text else modality_filter(modalities)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise SettingsError(
            f'Expected `{_FILTER_VARIABLE}` to be JSON such as {{"Modality": "US"}}, got {text!r}. Change it.'
        )
    return found


def list_series(client: DICOMwebClient, wanted: Mapping[str, Any]) -> list[ListedSeries]:
    """Every series that a filter finds, sorted by UID.

    Raises:
        PacsError: the PACS does not answer, refuses, or answers what cannot be understood.
    """
    try:
        found = [series for one in one_by_one(wanted) for series in _pages(client, one)]
        return sorted({series.uid: series for series in found}.values(), key=lambda series: series.uid)
    except requests.RequestException as error:
        raise PacsError(
            f"Expected the PACS at {client.base_url} to list its series, got {_what(error)}. Start it, or check "
            f"address and rights; name and password are read from {USER_VARIABLE} and {PASSWORD_VARIABLE}."
        ) from error
    # The client's own parsing of what a server sends fails in many ways.
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise PacsError(
            f"Expected {client.base_url} to list its series, got an answer that cannot be understood "
            f"({type(error).__name__}). Is this the address of a DICOMweb service?"
        ) from error


def _pages(client: DICOMwebClient, wanted: dict[str, Any]) -> list[ListedSeries]:
    found: dict[str, ListedSeries] = {}
    while True:
        page = client.search_for_series(limit=_PAGE, offset=len(found), fields=_FIELDS, search_filters=wanted)
        listed = map(_listed, page)
        new = {series.uid: series for series in listed if series.uid and series.uid not in found}
        found |= new
        if len(page) < _PAGE or not new:
            return list(found.values())


def series_names(series: Sequence[ListedSeries]) -> dict[str, str]:
    """Name by UID: patient and descriptions, and as much more as tells series of one name apart.

    >>> one = ListedSeries("1.2.3", "1.2", patient="p01", descriptions=("left", "B-mode"), date="20260102")
    >>> series_names([one])
    {'1.2.3': 'p01 / left / B-mode'}
    >>> other = ListedSeries("1.2.4", "1.2", patient="p01", descriptions=("left", "B-mode"), date="20260103")
    >>> series_names([one, other])["1.2.4"]
    'p01 / left / B-mode / 20260103'
    """
    names = {one.uid: _parts(one) for one in series}
    for more in (_date, _number, _end_of_uid):
        shared = {name for name, count in Counter(names.values()).items() if count > 1}
        for one in series:
            if names[one.uid] in shared:
                names[one.uid] += more(one)
    return {uid: " / ".join(parts) for uid, parts in names.items()}


def _parts(series: ListedSeries) -> tuple[str, ...]:
    descriptions = dict.fromkeys(text for text in series.descriptions if text)
    return (series.patient or "unknown patient", *descriptions)


def _date(series: ListedSeries) -> tuple[str, ...]:
    return (series.date,) if series.date else ()


def _number(series: ListedSeries) -> tuple[str, ...]:
    return (f"series {series.number}",) if series.number else ()


def _end_of_uid(series: ListedSeries) -> tuple[str, ...]:
    return (f"…{series.uid[-_UID_SHOWN:]}",)


def _what(error: requests.RequestException) -> str:
    return f"HTTP {error.response.status_code}" if error.response is not None else type(error).__name__


def _listed(record: dict[str, Any]) -> ListedSeries:
    dataset = Dataset.from_json(record)

    def text(keyword: str) -> str:
        value = dataset.get(keyword)
        return "" if value is None else str(value).strip()

    return ListedSeries(
        uid=text("SeriesInstanceUID"),
        study=text("StudyInstanceUID"),
        modality=text("Modality"),
        patient=text("PatientID") or text("PatientName"),
        descriptions=(text("StudyDescription"), text("SeriesDescription")),
        date=text("StudyDate"),
        number=text("SeriesNumber"),
    )
