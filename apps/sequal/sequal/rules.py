"""The rules that a value from outside has to meet: each has a text for people and a parser for the machine.

A value arrives as a string (`--conf key value`, a command line) or as a JSON number or bool (a request).
"""

import math
import re
from collections.abc import Callable
from dataclasses import dataclass

from sequal.labels import NO_READERS, NOT_ANNOTATED, REVIEW, same_name

__all__ = [
    "Rule",
    "boolean",
    "choice",
    "host_names",
    "integer",
    "names",
    "number",
    "origins",
    "patient_regex",
    "tags",
    "text",
    "triple",
    "url",
]

#: Of labels: 255 means not annotated.
_MOST_NAMES = 100
_TRUE = ("true", "1", "yes", "on")
_FALSE = ("false", "0", "no", "off")
_TAG = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_HOST_NAME = re.compile(r"[a-z0-9]([a-z0-9._-]*[a-z0-9])?|\[[0-9a-f:.]+\]")
_ORIGIN = re.compile(rf"https?://({_HOST_NAME.pattern})(:[0-9]{{1,5}})?")


@dataclass(frozen=True)
class Rule:
    """What a value must be.

    Attributes:
        text: completes the sentence "Expected `key` to be …".
        parse: turns the raw value into the typed one; raises `ValueError` when the rule is broken.
    """

    text: str
    parse: Callable[[object], object]


def _checked_range(value: float, low: float, high: float, open_low: bool, open_high: bool) -> None:
    above = value > low if open_low else value >= low
    below = value < high if open_high else value <= high
    if not (math.isfinite(value) and above and below):
        raise ValueError(value)


def _range_text(low: float, high: float, open_low: bool, open_high: bool) -> str:
    lower = f"over {low:g}" if open_low else f"at least {low:.10g}"
    if math.isinf(high):
        return lower
    return f"{lower} and {'under' if open_high else 'at most'} {high:.10g}"


def names() -> Rule:
    """Names with commas between them, each once, or nothing; `_` stands for a blank.

    MONAI Label's start script takes what it is given apart at blanks.

    >>> names().parse("liver, left_kidney")
    'liver,left kidney'
    """

    def parse(raw: object) -> str:
        if not isinstance(raw, str):
            raise ValueError(raw)
        found = [name.replace("_", " ").strip() for name in raw.split(",")] if raw.strip() else []
        told_apart = {same_name(name) for name in found}
        no_name = {"", *map(same_name, (REVIEW, NOT_ANNOTATED))}
        if told_apart & no_name or len(told_apart) < len(found) or len(found) > _MOST_NAMES:
            raise ValueError(raw)
        return ",".join(found)

    return Rule(
        f"names with commas between them (`_` for a blank), each once, none of them {REVIEW} or {NOT_ANNOTATED}, "
        f"at most {_MOST_NAMES}, or empty",
        parse,
    )


def triple(low: float, high: float, multiple_of: int = 0) -> Rule:
    """`auto`, or three numbers in `low..high` with commas between them; whole multiples where one is given.

    >>> triple(0.1, 20).parse("1, 1,2.5"), triple(16, 256, multiple_of=16).parse("96,96,64")
    ('1,1,2.5', '96,96,64')
    """
    kind = f"multiples of {multiple_of}" if multiple_of else "numbers"

    def parse(raw: object) -> str:
        if not isinstance(raw, str):
            raise ValueError(raw)
        if raw.strip() == "auto":
            return "auto"
        values = [float(part) for part in raw.split(",")]
        if len(values) != 3 or (multiple_of and any(value % multiple_of for value in values)):
            raise ValueError(raw)
        for value in values:
            _checked_range(value, low, high, False, False)
        return ",".join(f"{value:g}" for value in values)

    return Rule(f"auto, or three {kind} from {low:g} to {high:g} with commas between them", parse)


def integer(low: int, high: float = math.inf, multiple_of: int = 1) -> Rule:
    """An integer in `low..high`, both included, and a multiple of `multiple_of`.

    >>> integer(1, 9).parse("3")
    3
    """

    def parse(raw: object) -> int:
        if isinstance(raw, bool) or not isinstance(raw, str | int | float):
            raise ValueError(raw)
        if isinstance(raw, float) and not raw.is_integer():
            raise ValueError(raw)
        value = int(raw)
        _checked_range(value, low, high, False, False)
        if value % multiple_of:
            raise ValueError(raw)
        return value

    kind = "an integer" if multiple_of == 1 else f"a multiple of {multiple_of}"
    return Rule(f"{kind}, {_range_text(low, high, False, False)}", parse)


def number(low: float, high: float = math.inf, *, open_low: bool = False, open_high: bool = False) -> Rule:
    """A finite number between `low` and `high`; `open_low` and `open_high` exclude the end itself.

    >>> number(0, 1, open_high=True).text
    'a number, at least 0 and under 1'
    """

    def parse(raw: object) -> float:
        if isinstance(raw, bool) or not isinstance(raw, str | int | float):
            raise ValueError(raw)
        value = float(raw)
        _checked_range(value, low, high, open_low, open_high)
        return value

    return Rule(f"a number, {_range_text(low, high, open_low, open_high)}", parse)


def boolean() -> Rule:
    """A bool, or one of its usual spellings in any case.

    >>> boolean().parse("Off")
    False
    """

    def parse(raw: object) -> bool:
        spelled = str(raw).strip().lower()
        if spelled not in _TRUE + _FALSE:
            raise ValueError(raw)
        return spelled in _TRUE

    return Rule("true or false", parse)


def choice(options: tuple[str, ...]) -> Rule:
    """One of `options`, spelled exactly."""

    def parse(raw: object) -> str:
        if raw not in options:
            raise ValueError(raw)
        return str(raw)

    return Rule("one of " + ", ".join(options), parse)


def text(meaning: str) -> Rule:
    """Any string; `meaning` says what an empty one stands for."""

    def parse(raw: object) -> str:
        if not isinstance(raw, str):
            raise ValueError(raw)
        return raw.strip()

    return Rule(meaning, parse)


def url() -> Rule:
    """A database address as SQLAlchemy writes it, or nothing."""

    def parse(raw: object) -> str:
        if not isinstance(raw, str) or (raw.strip() and "://" not in raw):
            raise ValueError(raw)
        return raw.strip()

    return Rule("a SQLAlchemy URL (`dialect://…`) or empty", parse)


def host_names() -> Rule:
    """Names or addresses of a computer, separated by commas, without a port; given back in lower case.

    >>> host_names().parse("Labels.Example.org, 10.0.0.5")
    'labels.example.org,10.0.0.5'
    """
    return _list_of(_HOST_NAME, "names or addresses without a port, separated by commas, or empty")


def origins() -> Rule:
    """Origins of web pages, separated by commas; given back in lower case.

    >>> origins().parse("https://Viewer.example.org")
    'https://viewer.example.org'
    """
    return _list_of(_ORIGIN, "origins (`https://NAME` or `http://NAME:PORT`), separated by commas, or empty")


def tags() -> Rule:
    """Names of label folders, separated by commas, each once, or nothing; capitals count.

    >>> tags().parse("anna, Dr.Ben")
    'anna,Dr.Ben'
    """

    def parse(raw: object) -> str:
        if not isinstance(raw, str):
            raise ValueError(raw)
        parts = [part.strip() for part in raw.split(",")] if raw.strip() else []
        if len(set(parts)) < len(parts) or not all(_TAG.fullmatch(part) for part in parts):
            raise ValueError(raw)
        if not set(NO_READERS).isdisjoint(parts):
            raise ValueError(raw)
        return ",".join(parts)

    return Rule("names of letters, digits, `.`, `_` and `-`, each once, not final or original, or empty", parse)


def _list_of(form: re.Pattern[str], meaning: str) -> Rule:
    def parse(raw: object) -> str:
        if not isinstance(raw, str):
            raise ValueError(raw)
        parts = [part.strip().lower() for part in raw.split(",")] if raw.strip() else []
        if not all(form.fullmatch(part) for part in parts):
            raise ValueError(raw)
        return ",".join(parts)

    return Rule(meaning, parse)


def patient_regex() -> Rule:
    """A regular expression with a named group `patient`, or nothing."""

    def parse(raw: object) -> str:
        if not isinstance(raw, str):
            raise ValueError(raw)
        try:
            groups = re.compile(raw).groupindex
        except re.error as error:
            raise ValueError(raw) from error
        if raw and "patient" not in groups:
            raise ValueError(raw)
        return raw

    return Rule("a regular expression with a group `(?P<patient>…)`, or empty", parse)
