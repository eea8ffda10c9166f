"""The query of a request to the PACS, in the form that every PACS takes."""

from typing import Final
from urllib.parse import parse_qsl, quote, urlencode

__all__ = ["pacs_query"]

#: Attributes that an answer shall have (DICOM PS3.18, 8.3.4).
_FIELDS: Final = "includefield"


def pacs_query(query: str) -> str:
    """A query as every PACS takes it: attributes one by one, and wildcards as they are, since Orthanc decodes no query.

    >>> pacs_query("limit=101&PatientName=*p02*&includefield=00081030%2C00080060&StudyDate=")
    'limit=101&PatientName=*p02*&includefield=00081030&includefield=00080060'
    """
    pairs = [
        (name, part)
        for name, value in parse_qsl(query)
        for part in (value.split(",") if name.lower() == _FIELDS else [value])
    ]
    return urlencode(pairs, safe="*?,", quote_via=quote)
