"""Millimetres per pixel that stand beside an image: an option, a table, or a sidecar file."""

import csv
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from sequal.errors import ImageError, StudyError
from sequal.files.imaging import given_calibration, image_stem, image_suffix
from sequal.files.text_files import numbers_in, read_table, read_text, same_text

__all__ = ["SIDECARS", "SpacingRules", "beside", "spacing_numbers"]

#: What replaces the suffix of an image in the name of its sidecar; the first that exists counts.
SIDECARS: Final = (".json", "_CF.txt", ".txt")
_MOST_NUMBERS: Final = 2
_DECIMAL_COMMAS: Final = re.compile(r"0?,\d+([\s;]+0?,\d+)?")


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
                return _credible(spacing_numbers(self.listed[key]), f"the spacing table's entry for `{name}`")
        return _sidecar(image) if sidecar else None

    def unused(self, names: Iterable[str]) -> list[str]:
        """Entries of the table that name no image, sorted: most often a spelling, whose image lost its millimetres.

        Args:
            names: paths within the source of all files of it.
        """
        return sorted(set(self.listed) - {key for name in names for key in _keys(name)})


def _keys(name: str) -> tuple[str, str, str, str]:
    """What a table may call a file: its path, its name, and both without suffix; the first that is listed counts."""
    name = same_text(name).lower()
    file = name.rpartition("/")[2]
    return name, file, name[: len(name) - len(image_suffix(name))], image_stem(file)


def spacing_numbers(text: str) -> tuple[float, ...]:
    """One or two spacings; empty when anything else is in the text.

    Below one millimetre a comma behind a zero can only be a decimal sign.

    >>> spacing_numbers("0,06"), spacing_numbers("0,06;0,05"), spacing_numbers("0.06, 0.05"), spacing_numbers("0,06 mm")
    ((0.06,), (0.06, 0.05), (0.06, 0.05), ())
    """
    return numbers_in(text, decimal_comma=_DECIMAL_COMMAS.fullmatch(text.strip()) is not None)


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
    for path in (beside(image, f"{name}{ending}") for name in (stem, image.name) for ending in SIDECARS):
        if path is not None:
            numbers = _sidecar_numbers(path)
            return None if numbers is None else _credible(numbers, f"`{path.name}`")
    return None


def beside(image: Path, name: str) -> Path | None:
    """The file of that name beside an image, in whichever form of its letters; None: there is none."""
    path = image.with_name(name)
    if path.is_file():
        return path
    if name.isascii():
        return None
    return next((file for file in image.parent.iterdir() if same_text(file.name) == same_text(name)), None)


def _sidecar_numbers(path: Path) -> Sequence[float] | None:
    """The numbers of a sidecar; None when a JSON file says nothing of the spacing."""
    try:
        text = read_text(path)
        return _json_numbers(json.loads(text)) if path.suffix == ".json" else spacing_numbers(text)
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
        (_, header), *rows = read_table(path) or [(1, [])]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise StudyError(f"Expected `{path}` to be a UTF-8 CSV file, got: {error}. Save it as such.") from error
    wanted = ["spacing_mm"] if "spacing_mm" in header else ["dx_mm", "dy_mm"]
    if not {"image", *wanted} <= set(header):
        raise StudyError(
            f"Expected `{path}` to have the columns image,spacing_mm or image,dx_mm,dy_mm, got "
            f"{','.join(header) or 'an empty file'}. Name them in the first line."
        )
    listed = {}
    for number, cells in rows:
        if len(cells) > len(header):
            raise StudyError(
                f"Expected line {number} of `{path}` to have {len(header)} cells as the first, got {len(cells)}. A "
                "decimal comma needs semicolons between the cells."
            )
        row = dict(zip(header, cells, strict=False))
        if row["image"]:
            image = same_text(row["image"]).replace("\\", "/").lower()
            listed[image] = " ".join(row.get(name) or "?" for name in wanted)
    return listed
