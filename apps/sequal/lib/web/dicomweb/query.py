"""A search as it comes in a query: what is looked for, and which page of the results."""

import fnmatch
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Final
from urllib.parse import parse_qsl

from pydicom.datadict import dictionary_VR, keyword_for_tag, tag_for_keyword

from sequal.errors import SettingsError

__all__ = ["LARGEST_PAGE", "Search", "matches"]

#: Results in one answer, whatever the limit of the query.
LARGEST_PAGE: Final = 1000
_MOST_KEYS: Final = 100
_LONGEST: Final = 20_000
_TAG: Final = re.compile(r"[0-9A-Fa-f]{8}")
_WHOLE: Final = re.compile(r"[0-9]{1,9}")
_SWITCHES: Final = ("fuzzymatching", "emptyvaluematching", "multiplevaluematching")
_RANGES: Final = ("DA", "TM", "DT")
_NUMBERS: Final = ("IS", "US", "UL")
_SHOWN: Final = 80


@dataclass(frozen=True)
class Search:
    """A search (DICOM PS3.18, 8.3.4).

    Attributes:
        wanted: pattern by keyword of the attribute; empty patterns, which everything fits, are left out.
        limit: most results.
        offset: results that are passed over.
        fuzzy: whether names may be similar only, which no answer here takes into account.
    """

    wanted: Mapping[str, str]
    limit: int = LARGEST_PAGE
    offset: int = 0
    fuzzy: bool = False

    @classmethod
    def of(cls, query: str) -> "Search":
        """Understand a query.

        Args:
            query: as it came, without its question mark.

        Raises:
            SettingsError: a key is no attribute of DICOM, a value is malformed, or something is said twice.

        >>> search = Search.of("PatientName=*p02*&00080061=US&limit=101&offset=0&includefield=00081030%2C00080060")
        >>> search.wanted, search.limit
        ({'PatientName': '*p02*', 'ModalitiesInStudy': 'US'}, 101)
        """
        wanted: dict[str, str] = {}
        given: dict[str, str] = {}
        for key, value in _pairs(query):
            name = key.lower()
            if name == "includefield":
                continue  # everything that is known is told anyway
            known = name in ("limit", "offset", *_SWITCHES)
            target, name = (given, name) if known else (wanted, _keyword(key))
            if name in target:
                raise SettingsError(f"Expected `{name[:_SHOWN]}` once in the query, got it twice. Leave one out.")
            target[name] = value
        switches = {name: _switch(name, given[name]) for name in _SWITCHES if name in given}
        return cls(
            {key: value for key, value in wanted.items() if value},
            min(_number("limit", given.get("limit", str(LARGEST_PAGE))), LARGEST_PAGE),
            _number("offset", given.get("offset", "0")),
            switches.get("fuzzymatching", False),
        )


def matches(keyword: str, value: object, pattern: str) -> bool:
    r"""Whether a value fits what is looked for.

    `*` stands for any characters and `?` for one; texts are compared without regard to case; several UIDs, separated by
    commas or backslashes, fit each of them; dates and times may be a range.

    Args:
        keyword: of the attribute, which says how it is compared.
        value: a text, a number, a list of texts of which one has to fit, or None for an empty one.
        pattern: not empty.

    >>> matches("PatientID", "p02", "P0*"), matches("StudyInstanceUID", "1.2", "1.1\\1.2")
    (True, True)
    >>> matches("StudyDate", None, "2020-"), matches("StudyDate", "20260102", "20260101-20260103")
    (False, True)
    """
    if isinstance(value, list):
        return any(matches(keyword, part, pattern) for part in value)
    if value is None:
        return pattern.strip("*") == ""
    kind, text = dictionary_VR(keyword), str(value)
    if kind == "UI":
        return text in re.split(r"[\\,]", pattern)
    if kind in _NUMBERS:
        return pattern.strip().isdecimal() and int(pattern) == int(text)
    if kind in _RANGES and "-" in pattern:
        low, _, high = pattern.partition("-")
        return (not low or text >= low) and (not high or text <= high)
    return _expression(pattern).fullmatch(text) is not None


def _pairs(query: str) -> list[tuple[str, str]]:
    try:
        if len(query) > _LONGEST:
            raise ValueError
        return parse_qsl(query, keep_blank_values=True, max_num_fields=_MOST_KEYS, errors="strict")
    except ValueError as error:
        raise SettingsError(
            f"Expected a query of at most {_MOST_KEYS} keys and {_LONGEST} characters in UTF-8, got another. "
            "Shorten it."
        ) from error


def _keyword(name: str) -> str:
    """The keyword of an attribute, named by keyword or by tag; of a part of a sequence, that of the sequence."""
    first = name.split(".")[0]
    keywords = [str(keyword_for_tag(int(part, 16))) if _TAG.fullmatch(part) else part for part in name.split(".")]
    if not all(keyword and tag_for_keyword(keyword) for keyword in keywords):
        raise SettingsError(
            f"Expected the keys of a search to be attributes of DICOM, `limit`, `offset` or `includefield`, got "
            f"{first[:_SHOWN]!r}. Name an attribute by its keyword or its tag."
        )
    return ".".join(keywords)


def _number(name: str, text: str) -> int:
    if not _WHOLE.fullmatch(text):
        raise SettingsError(f"Expected `{name}` to be a whole number from 0 on, got {text[:_SHOWN]!r}. Correct it.")
    return int(text)


def _switch(name: str, text: str) -> bool:
    if text.lower() not in ("true", "false"):
        raise SettingsError(f"Expected `{name}` to be true or false, got {text[:_SHOWN]!r}. Correct it.")
    return text.lower() == "true"


@lru_cache(maxsize=64)
def _expression(pattern: str) -> re.Pattern[str]:
    # Made by fnmatch, whose expressions take no longer for several stars; its sets of characters are no part of DICOM.
    return re.compile(fnmatch.translate(pattern.replace("[", "[[]")), re.IGNORECASE)
