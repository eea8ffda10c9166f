"""Which form of an answer a client takes, and answers of several parts."""

import re
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

__all__ = ["ANY_SYNTAX", "Accepted", "accepted", "multipart"]

ANY_SYNTAX: Final = "*"
_PART: Final = re.compile(r'(?:[^,"]|"[^"]*")+')
_PARAMETER: Final = re.compile(r';\s*([\w-]+)\s*=\s*(?:"([^"]*)"|([^;\s"]*))')
_LONGEST: Final = 4000


@dataclass(frozen=True)
class Accepted:
    """One form that a client takes.

    Attributes:
        media: lower case, `multipart/related` or `*/*`.
        parameters: by name in lower case.
    """

    media: str
    parameters: dict[str, str] = field(default_factory=dict)

    @property
    def inner(self) -> str:
        """What the parts of a multipart answer are; of another form, itself."""
        if self.media == "multipart/related":
            return self.parameters.get("type", "*/*").lower()
        return self.media

    @property
    def syntax(self) -> str:
        """The transfer syntax; `*` for any."""
        return self.parameters.get("transfer-syntax", ANY_SYNTAX)


def accepted(header: str) -> list[Accepted]:
    """The forms of an `Accept` header, in its order; without one, any.

    >>> accepted('multipart/related; type="application/octet-stream"; transfer-syntax=*')[0].inner
    'application/octet-stream'
    """
    found = []
    for part in _PART.findall(header[:_LONGEST]):
        media = part.split(";")[0].strip().lower()
        parameters = {name.lower(): quoted or bare for name, quoted, bare in _PARAMETER.findall(part)}
        if media:
            found.append(Accepted(media, parameters))
    return found or [Accepted("*/*")]


def fits(form: str, offered: str) -> bool:
    """Whether a media type, perhaps with stars, is what is offered.

    >>> fits("application/*", "application/dicom"), fits("image/jpeg", "application/dicom")
    (True, False)
    """
    kind, _, subtype = form.partition("/")
    mine, _, part = offered.partition("/")
    return kind in ("*", mine) and subtype in ("*", part)


def multipart(parts: Iterable[bytes], media: str, inner: str, locations: Sequence[str]) -> tuple[bytes, str]:
    """An answer of several parts (RFC 2387).

    Args:
        parts: their contents.
        media: Content-Type of a part, with its parameters.
        inner: the media type of the parts, without parameters.
        locations: address of each part.

    Returns:
        The body, and its Content-Type.
    """
    boundary = uuid.uuid4().hex
    pieces = []
    for content, location in zip(parts, locations, strict=True):
        head = f"--{boundary}\r\nContent-Type: {media}\r\nContent-Location: {location}\r\n\r\n"
        pieces += [head.encode("latin-1", "replace"), content, b"\r\n"]
    pieces.append(f"--{boundary}--\r\n".encode())
    return b"".join(pieces), f'multipart/related; type="{inner}"; boundary={boundary}'
