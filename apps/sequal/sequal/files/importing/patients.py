"""Patients of imported images: from a table or a pattern, and into the study's manifest."""

import csv
import io
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from sequal.errors import SettingsError, StudyError
from sequal.files.imaging import image_stem
from sequal.files.importing.candidate import Candidate
from sequal.files.text_files import read_table, read_text, same_text
from sequal.study.state import MANIFEST_NAME, atomic_write, patient_of

__all__ = ["PatientManifest", "name_patients"]


def name_patients(candidates: Sequence[Candidate], table: Path | None, pattern: str) -> list[Candidate]:
    """Fill in the patients that the source itself does not say.

    Args:
        candidates: images.
        table: CSV `image,patient`, an image by its id or its file name; it rules over what the source says. None:
            there is none.
        pattern: regular expression with a group `patient`, searched in ids; empty: there is none.

    Raises:
        StudyError: the table cannot be read.
        SettingsError: the pattern is none, or has no group `patient`.
    """
    _check(pattern)
    if table is not None and not table.is_file():
        raise StudyError(f"Expected `{table}` to be a CSV file image,patient, got no such file. Check --patients.")
    stems = {item.image: image_stem(item.file) for item in candidates}
    listed = patient_of({*stems, *stems.values()}, table)
    matched = patient_of(stems, None, pattern)
    named = []
    for item in candidates:
        by_table = (listed[key] for key in (item.image, stems[item.image]) if listed[key] != key)
        by_pattern = matched[item.image] if matched[item.image] != item.image else ""
        named.append(replace(item, patient=next(by_table, "") or item.patient or by_pattern))
    return named


class PatientManifest:
    """The `patients.csv` of a study: rows are added, those that are there stay as somebody wrote them.

    Args:
        studies: the studies folder.

    Raises:
        StudyError: the file is there and malformed.
    """

    def __init__(self, studies: Path) -> None:
        self._path = studies / MANIFEST_NAME
        self._wrote = False
        try:
            self._before = read_text(self._path) if self._path.is_file() else ""
            listed = read_table(self._path) if self._path.is_file() else []
            names = {cells[0] for _, cells in listed} - {""}
            self._separator = ";" if listed and ";" in self._before.split("\n")[0] else ","
        except (OSError, UnicodeDecodeError, csv.Error) as error:
            raise StudyError(
                f"Expected `{self._path}` to be a UTF-8 CSV file, got: {error}. Save it as such."
            ) from error
        rows = patient_of(names, self._path)
        #: Patient by image id, of the rows that were there.
        self.named: Mapping[str, str] = {same_text(image_stem(name)): patient for name, patient in rows.items()}

    def write(self, patients: Mapping[str, str]) -> None:
        """Write the file with the rows that were there and one row for each further image, atomically.

        Args:
            patients: patient by image id; an image without a patient is left to itself.

        Raises:
            OSError: it cannot be written; the former file is as it was.
        """
        new = {image: patient for image, patient in patients.items() if patient and image not in self.named}
        if not new and not self._wrote:
            return
        content = self._before if self._before.strip() else "image,patient\n"
        content += ("" if content.endswith("\n") else "\n") + _lines(new.items(), self._separator)
        with atomic_write(self._path) as file:
            file.write(content.encode())
        self._wrote = True


def _lines(rows: Iterable[tuple[str, str]], separator: str) -> str:
    text = io.StringIO()
    csv.writer(text, delimiter=separator, lineterminator="\n").writerows(rows)
    return text.getvalue()


def _check(pattern: str) -> None:
    try:
        groups = re.compile(pattern).groupindex
    except re.error as error:
        raise SettingsError(
            f"Expected `--patient-pattern` to be a regular expression, got {pattern!r} ({error}). Correct it."
        ) from error
    if pattern and "patient" not in groups:
        raise SettingsError(
            f"Expected `--patient-pattern` to have a group `patient`, got {pattern!r}. "
            r"Write for example (?P<patient>p\d+)_."
        )
