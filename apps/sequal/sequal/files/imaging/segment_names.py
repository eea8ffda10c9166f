"""Names that people give to segments: what looks equal is equal."""

import re
import unicodedata
from collections.abc import Mapping

from sequal.labels import LABEL_NAMES

__all__ = ["class_named", "same_name"]

_DASHES = re.compile(r"[\s_\u002d\u00ad\u2010-\u2015\u2212\ufe63\uff0d]+")


def same_name(name: str) -> str:
    r"""One form for all names that look equal: whatever case, composition of letters, dash or blank.

    >>> same_name(" Intima\u2011Media"), same_name("intima_media")
    ('intima-media', 'intima-media')
    """
    return _DASHES.sub("-", unicodedata.normalize("NFKC", name).casefold()).strip("-")


def class_named(name: str, labels: Mapping[str, int] = LABEL_NAMES) -> int | None:
    """The class of a segment by its name; None where `labels` have no such name.

    >>> class_named("INTIMA MEDIA"), class_named("plaque")
    (1, None)
    """
    return {same_name(known): value for known, value in labels.items()}.get(same_name(name))
