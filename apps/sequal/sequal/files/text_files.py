"""Tables and numbers that people save with whatever program they have: encodings, line ends, separators, commas."""

import codecs
import csv
import io
import re
import unicodedata
from pathlib import Path
from typing import Final

__all__ = ["numbers_in", "read_table", "read_text", "same_text", "uses_decimal_comma"]

_UTF_16: Final = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_SEPARATORS: Final = (",", ";", "\t")
_DECIMAL: Final = re.compile(r"[+-]?\d*,\d+([eE][+-]?\d+)?")
_THOUSANDS: Final = re.compile(r"[+-]?[1-9]\d{0,2},\d{3}")
_BETWEEN: Final = re.compile(r"[\s;]+")


def read_text(path: Path) -> str:
    """The text of a file in UTF-8 or, where its first bytes say so, UTF-16; every line ends with a line feed.

    Raises:
        OSError: it cannot be read.
        UnicodeDecodeError: it is in another encoding.
    """
    content = path.read_bytes()
    text = content.decode("utf-16" if content.startswith(_UTF_16) else "utf-8-sig")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def read_table(path: Path) -> list[tuple[int, list[str]]]:
    """Rows of a table, separated by comma, semicolon or tabulator, whichever its first line has most of.

    Returns:
        Line number and cells without blanks around them; empty rows are left out, as is the `sep=;` of spreadsheets.

    Raises:
        OSError: it cannot be read.
        UnicodeDecodeError: it is in another encoding.
        csv.Error: a quotation mark is not closed, say.
    """
    lines = read_text(path).split("\n")
    if lines and lines[0].lower().startswith("sep="):
        lines[0] = ""
    first = next((line for line in lines if line.strip()), "")
    separator = max(_SEPARATORS, key=first.count)
    reader = csv.reader(io.StringIO("\n".join(lines)), delimiter=separator, strict=True, skipinitialspace=True)
    rows = ((reader.line_num, [cell.strip() for cell in row]) for row in reader)
    return [(number, cells) for number, cells in rows if any(cells)]


def same_text(name: str) -> str:
    r"""One form for names that look equal: macOS writes letters and their accents apart, others together.

    >>> same_text("Je\u0301ro\u0302me") == same_text("J\u00e9r\u00f4me")
    True
    """
    return unicodedata.normalize("NFC", name).strip()


def uses_decimal_comma(text: str) -> bool | None:
    r"""Whether the commas of a text with numbers are decimal signs; None where nobody can tell.

    They are when every one stands within a number, blanks or semicolons separate the numbers, and there is no point.
    One `60,19` a line is a pair, as tables have it.

    >>> uses_decimal_comma("60,00 61,00\n19,5 19,5"), uses_decimal_comma("60;19,5"), uses_decimal_comma("60,19\n61,20")
    (True, True, False)
    >>> uses_decimal_comma("60, 61, 62"), uses_decimal_comma("998 1,000 1,002"), uses_decimal_comma("1.024,5 1.025,5")
    (False, None, None)
    """
    lines = [parts for line in text.splitlines() if (parts := [part for part in _BETWEEN.split(line) if part])]
    parts = [part for line in lines for part in line]
    commas = [part for part in parts if "," in part]
    pairs = any(len(line) == 1 and "," in line[0] for line in lines)
    if not commas or pairs:
        return False
    if any(re.search(r"\d\.\d+,\d", part) for part in commas):
        return None
    if "." in text or not all(_DECIMAL.fullmatch(part) for part in commas):
        return False
    thousands = len(commas) < len(parts) and all(_THOUSANDS.fullmatch(part) for part in commas)
    return None if thousands else True


def numbers_in(text: str, *, decimal_comma: bool = False) -> tuple[float, ...]:
    """The numbers of a text, separated by blanks, semicolons or commas; empty when anything else is in it.

    Args:
        text: a line, say.
        decimal_comma: commas are decimal signs, and do not separate.

    >>> numbers_in("0.06"), numbers_in(" 0.06; 5e-2 "), numbers_in("about 0.06"), numbers_in("1_0")
    ((0.06,), (0.06, 0.05), (), ())
    >>> numbers_in("60,5;19,25", decimal_comma=True)
    (60.5, 19.25)
    """
    parts = _BETWEEN.split(text.strip(" \t\n;")) if decimal_comma else re.split(r"[\s,;]+", text.strip(" \t\n;"))
    if "_" in text:
        return ()
    try:
        return tuple(float(part.replace(",", ".")) for part in parts)
    except ValueError:
        return ()
