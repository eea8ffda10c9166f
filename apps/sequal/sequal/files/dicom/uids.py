"""Unique identifiers that follow from the content: the same frame gives the same ones, on every machine."""

import hashlib
import json
import uuid
from typing import Final

__all__ = ["FORM", "content_uid"]

#: Namespace of this app's identifiers; never to be changed, or a second export doubles a PACS.
_NAMESPACE: Final = uuid.UUID("6f3d5b0e-52b7-5d0c-9c57-8d6d2c1f4a11")

#: Version of the form of these objects. To be raised when it changes: other content must have other UIDs.
FORM: Final = "1"


def content_uid(*parts: str | int) -> str:
    """A UID below 2.25, the root for UUIDs that needs no registration (DICOM PS3.5 B.2).

    Args:
        parts: what the UID stands for; any change gives another UID.

    Returns:
        `2.25.` and the number of a name-based UUID (RFC 9562, version 5) over the SHA-256 of the parts; at most 44
        characters.

    >>> content_uid("series", "p01_f1", 0)
    '2.25.109488136822524261639909777074417949910'
    >>> content_uid("a", "bc") == content_uid("ab", "c")
    False
    """
    digest = hashlib.sha256(json.dumps((FORM, *parts), separators=(",", ":")).encode()).hexdigest()
    return f"2.25.{uuid.uuid5(_NAMESPACE, digest).int}"
