"""The classes of a label, spelled once, and their names, of which what looks equal is equal."""

import re
import unicodedata
from collections.abc import Mapping
from typing import Final

__all__ = [
    "BACKGROUND",
    "IGNORE",
    "INTIMA_MEDIA",
    "LABEL_NAMES",
    "NOT_ANNOTATED",
    "NO_READERS",
    "NUM_CLASSES",
    "REVIEW",
    "class_named",
    "same_name",
]

BACKGROUND: Final = 0
INTIMA_MEDIA: Final = 1
#: A pixel that the expert did not annotate: it carries no supervision.
IGNORE: Final = 255
NUM_CLASSES: Final = 2
#: Name to index, ascending from 1, as MONAI Label expects it.
LABEL_NAMES: Final = {"intima-media": INTIMA_MEDIA}
#: Tags of labels that are no reader's own: submitted ones, and those of a model.
NO_READERS: Final = ("final", "original")
#: Segment of the area in which a mask is expected to be wrong; never a label.
REVIEW: Final = "review"
#: Name of the segment that holds the pixels an expert did not annotate.
NOT_ANNOTATED: Final = "not annotated"
_DASHES: Final = re.compile(r"[\s_\u002d\u00ad\u2010-\u2015\u2212\ufe63\uff0d]+")


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
