"""Millimetres per pixel that stand beside an image: an option, a table, or a sidecar file."""

import csv
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from lib.errors import ImageError, StudyError
from lib.imaging import given_calibration, image_stem, image_suffix

__all__ = ["SIDECARS", "SpacingRules", "numbers_in"]

#: What replaces the suffix of an image in the name of its sidecar; the first that exists counts.
SIDECARS: Final = (".json", "_CF.txt", ".txt")
_MOST_NUMBERS: Final = 2


@dataclass(frozen=True)
class SpacingRules:
    """Where the spacing of an image is looked up: the option, then the table, then the sidecar.

    Attributes:
        given: (dx, dy) for every image; None: not given.
        listed: text of the numbers by image name in lower case (path, file name or stem), from a table.
    """

    given: tuple[float, float] | None = None
    listed: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def read(cls, given: tuple[float, float] | None, table: Path | None) -> "SpacingRules":
        """Rules from what the user gives.

        Args:
            given: (dx, dy) in millimetres.
            table: CSV with the header `image,spacing_mm` or `image,dx_mm,dy_mm`; further columns are ignored.

        Raises:
            ImageError: `given` is not credible.
            StudyError: the table cannot be read, or its header is another.
        """
        if given is not None:
            given_calibration(given)
        return cls(given, {} if table is None else _table(table))

    def of(self, image: Path, name: str, *, sidecar: bool = True) -> tuple[float, float] | None:
        """Spacing of one image.

        Args:
            image: its file.
            name: its path within the source.
            sidecar: look for a sidecar file too; not for DICOM, whose neighbours are reports.

        Returns:
            (dx, dy) in millimetres, or None when nothing beside the file gives it.

        Raises:
            ImageError: what is given for it is not one or two credible numbers.
        """
        if self.given is not None:
            return self.given
        for key in _keys(name):
            if key in self.listed:
                return _credible(numbers_in(self.listed[key]), f"the spacing table's entry for `{name}`")
        return _sidecar(image) if sidecar else None

    def unused(self, names: Iterable[str]) -> list[str]:
        """Entries of the table that name no image, sorted: most often a spelling, whose image lost its millimetres.

        Args:
            names: paths within the source of all files of it.
        """
        return sorted(set(self.listed) - {key for name in names for key in _keys(name)})


def _keys(name: str) -> tuple[str, str, str, str]:
    """What a table may call a file: its path, its name, and both without suffix; the first that is listed counts."""
    name = name.lower()
    file = name.rpartition("/")[2]
    return name, file, name[: len(name) - len(image_suffix(name))], image_stem(file)


def numbers_in(text: str) -> tuple[float, ...]:
    """The numbers of a text, separated by blanks, tabs, commas or semicolons; empty when anything else is in it.

    >>> numbers_in("0.06"), numbers_in(" 0.06; 5e-2 "), numbers_in("about 0.06")
    ((0.06,), (0.06, 0.05), ())
    """
    try:
        return tuple(float(part) for part in re.split(r"[\s,;]+", text.strip()))
    except ValueError:
        return ()


def _credible(numbers: Sequence[float], where: str) -> tuple[float, float]:
    if not 1 <= len(numbers) <= _MOST_NUMBERS:
        raise ImageError(f"Expected {where} to be one or two numbers, got something else. Give millimetres per pixel.")
    spacing_mm = numbers[0], numbers[-1]
    try:
        given_calibration(spacing_mm)
    except ImageError as error:
        raise ImageError(f"In {where}: {error}") from error
    return spacing_mm


def _sidecar(image: Path) -> tuple[float, float] | None:
    stem = image_stem(image)
    for path in (image.with_name(f"{name}{ending}") for name in (stem, image.name) for ending in SIDECARS):
        if path.is_file():
            numbers = _sidecar_numbers(path)
            return None if numbers is None else _credible(numbers, f"`{path.name}`")
    return None


def _sidecar_numbers(path: Path) -> Sequence[float] | None:
    """The numbers of a sidecar; None when a JSON file says nothing of the spacing."""
    try:
        text = path.read_text(encoding="utf-8-sig")
        return _json_numbers(json.loads(text)) if path.suffix == ".json" else numbers_in(text)
    except (OSError, ValueError) as error:
        raise ImageError(f"Expected `{path.name}` to be readable, got: {error}. Correct or remove it.") from error


def _json_numbers(content: Any) -> Sequence[float] | None:  # noqa: ANN401
    if not isinstance(content, dict):
        return None
    if "spacing_mm" in content:
        value = content["spacing_mm"]
    elif "dx_mm" in content and "dy_mm" in content:
        value = [content["dx_mm"], content["dy_mm"]]
    else:
        return None
    values = value if isinstance(value, list) else [value]
    return [float(number) for number in values if isinstance(number, int | float)] if values else ()


def _table(path: Path) -> dict[str, str]:
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file, skipinitialspace=True)
            columns = [name.strip() for name in reader.fieldnames or []]
            reader.fieldnames = columns
            wanted = ["spacing_mm"] if "spacing_mm" in columns else ["dx_mm", "dy_mm"]
            if not {"image", *wanted} <= set(columns):
                raise StudyError(
                    f"Expected `{path}` to have the columns image,spacing_mm or image,dx_mm,dy_mm, got "
                    f"{','.join(columns) or 'an empty file'}. Name them in the first line."
                )
            return {
                (row["image"] or "").strip().replace("\\", "/").lower(): " ".join(row[name] or "?" for name in wanted)
                for row in reader
                if (row["image"] or "").strip()
            }
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise StudyError(f"Expected `{path}` to be a UTF-8 CSV file, got: {error}. Save it as such.") from error
