"""DICOM JSON: answers to searches from plain values, and the metadata of objects."""

import json
from collections.abc import Mapping, Sequence
from copy import copy
from typing import Any, Final

from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.dataset import Dataset

__all__ = ["encoded", "metadata", "result"]

_PIXEL_DATA: Final = "7FE00010"


def result(values: Mapping[str, object]) -> dict[str, Any]:
    """One result of a search (DICOM PS3.18, F.2).

    Args:
        values: text, whole number, list of texts, or None for an attribute without a value, by keyword.

    >>> result({"PatientName": "p01", "StudyDate": None})
    {'00080020': {'vr': 'DA'}, '00100010': {'vr': 'PN', 'Value': [{'Alphabetic': 'p01'}]}}
    """
    found = {f"{tag_for_keyword(keyword):08X}": _element(keyword, value) for keyword, value in values.items()}
    return dict(sorted(found.items()))


def metadata(dataset: Dataset, bulk_uri: str) -> dict[str, Any]:
    """All attributes of an object, its pixels by their address alone.

    Args:
        dataset: not changed.
        bulk_uri: where the pixels are.
    """
    header = Dataset()
    header.update({element.tag: copy(element) for element in dataset if element.keyword != "PixelData"})
    found: dict[str, Any] = header.to_json_dict()
    found[_PIXEL_DATA] = {"vr": dataset["PixelData"].VR, "BulkDataURI": bulk_uri}
    return found


def encoded(content: Sequence[Mapping[str, Any]]) -> bytes:
    """The bytes of an answer."""
    return json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")


def _element(keyword: str, value: object) -> dict[str, Any]:
    kind = dictionary_VR(keyword)
    if value is None or value == "":
        return {"vr": kind}
    values = list(value) if isinstance(value, list) else [value]
    if kind == "PN":
        values = [{"Alphabetic": part} for part in values]
    return {"vr": kind, "Value": values}
