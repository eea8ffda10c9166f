"""The series of a PACS that are images, each with a name that people know it by."""

import json
import os
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from itertools import product
from typing import Any, Final

import requests
from dicomweb_client import DICOMwebClient
from pydicom.dataset import Dataset

from sequal.errors import PacsError, SettingsError
from sequal.files.dicom.connection import PASSWORD_VARIABLE, USER_VARIABLE

__all__ = [
    "ListedSeries",
    "image_filter",
    "list_series",
    "modality_filter",
    "one_by_one",
    "search_filter",
    "series_names",
]

#: The server's own setting; docs/pacs.md says what it is for.
_FILTER_VARIABLE: Final = "MONAI_LABEL_DICOMWEB_SEARCH_FILTER"
_MODALITY: Final = "Modality"
_MODALITY_TAG: Final = "00080060"
#: MONAI Label's own default, which cannot be told from a user's words.
_NOT_SET: Final = {"Modality": "CT"}
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


def image_filter(
    given: Mapping[str, Any], model: str, modalities: Sequence[str], *, shared: bool = False
) -> dict[str, Any]:
    r"""The search filter for the images of a model: what a filter of the settings finds of its modalities.

    Args:
        given: DICOM keyword to value. `Modality` may have `*` and `?`, and be several, as a list or with `,` or `\\`
            between them; none or an empty one is any. MONAI Label's own default counts as none.
        model: its name, for the error.
        modalities: of its images.
        shared: whether other models work on the PACS as well: then series of other modalities are not even listed.

    Raises:
        SettingsError: the filter finds nothing of these modalities, its `Modality` is no text, or a list is empty.

    >>> image_filter({"PatientID": "p", "Modality": "C*"}, "volume", ["CT", "MR"])
    {'PatientID': 'p', 'Modality': 'CT'}
    >>> image_filter({"PatientID": "p"}, "volume", ["CT", "MR"], shared=True)
    {'PatientID': 'p', 'Modality': ['CT', 'MR']}
    """
    wanted = {_MODALITY if key == _MODALITY_TAG else key: value for key, value in given.items()}
    if wanted == _NOT_SET:
        return modality_filter(modalities)
    empty = [key for key, value in given.items() if value == []]
    if empty:
        raise SettingsError(
            f"Expected every list in `{_FILTER_VARIABLE}` to have a value, got none in {', '.join(empty)}, which finds "
            "no series. Add a value, or leave the name out."
        )
    if _MODALITY not in wanted and not shared:
        return wanted
    patterns = _patterns(wanted.get(_MODALITY))
    own = [one for one in modalities if any(fnmatchcase(one, pattern) for pattern in patterns)]
    if not own:
        raise SettingsError(
            f"Expected `{_FILTER_VARIABLE}` to find {' or '.join(modalities)}, which are the images of the model "
            f"`{model}`, got Modality {wanted[_MODALITY]!r}. Add one of these, or leave `Modality` out: then "
            "each model takes its own."
        )
    return {**wanted, **modality_filter(own)}


def _patterns(asked: object) -> list[str]:
    """The modalities of a filter, each upper case."""
    several = asked if isinstance(asked, list) else ["" if asked is None else asked]
    texts = [one for one in several if isinstance(one, str)]
    if len(texts) < len(several):
        raise SettingsError(
            f'Expected `Modality` in `{_FILTER_VARIABLE}` to be a text or a list of texts such as ["CT", "US"], got '
            f"{asked!r}. Change it."
        )
    return [part.strip().upper() or "*" for text in texts for part in re.split(r"[,\\]", text)]


def one_by_one(wanted: Mapping[str, Any]) -> list[dict[str, Any]]:
    """A search filter with lists as one filter for each value: few servers take several.

    >>> one_by_one({"Modality": ["CT", "MR"], "PatientID": "p"})
    [{'Modality': 'CT', 'PatientID': 'p'}, {'Modality': 'MR', 'PatientID': 'p'}]
    """
    lists = {key: value for key, value in wanted.items() if isinstance(value, list)}
    return [{**wanted, **dict(zip(lists, values, strict=True))} for values in product(*lists.values())]


def search_filter(model: str, modalities: Sequence[str]) -> dict[str, Any]:
    """What a server of one model looks for with the same environment.

    Args:
        model: as `image_filter` takes it.
        modalities: see there.

    Raises:
        SettingsError: the variable holds no JSON object, or as `image_filter`.
    """
    text = os.environ.get(_FILTER_VARIABLE, "")
    try:
        found = json.loads(text) if text else _NOT_SET
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise SettingsError(
            f'Expected `{_FILTER_VARIABLE}` to be JSON such as {{"Modality": "US"}}, got {text!r}. Change it.'
        )
    return image_filter(found, model, modalities)


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
