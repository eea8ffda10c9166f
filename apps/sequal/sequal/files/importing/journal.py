"""What was imported, so that a second run imports only what is new."""

import json
import logging
import os
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Final

__all__ = ["JOURNAL_NAME", "ImportRecord", "Journal"]

logger = logging.getLogger(__name__)

JOURNAL_NAME: Final = "imports.jsonl"


@dataclass(frozen=True)
class ImportRecord:
    """One imported image.

    Attributes:
        image: its id.
        digest: of the source file, as `sequal.study.state.file_digest` gives it.
        calibration: where the spacing comes from.
        spacing_mm: (dx, dy); None: not calibrated.
        labels: digest of what each label was made of, by tag.
        source: path within the source; empty for DICOM, whose file names may tell a patient's name.
        patient: as in `patients.csv`; empty: the image is its own patient.
        patient_key: salted hash of a DICOM patient.
        person: salted hashes of name, birth date and sex.
        at: when, seconds since the epoch (UTC).
        pixels: digest of the image as it went into the study.
    """

    image: str
    digest: str
    calibration: str
    spacing_mm: tuple[float, float] | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    source: str = ""
    patient: str = ""
    patient_key: str = ""
    person: Mapping[str, str] = field(default_factory=dict)
    at: float = field(default_factory=time.time)
    pixels: str = ""


class Journal:
    """The records of a study, one JSON object a line, appended as one write that reaches the disk before it returns.

    A line that a crash cut off is left out when the file is read; its image is then recognised by its bytes.

    Args:
        path: of the file, which need not exist.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._by_digest: dict[str, ImportRecord] = {}
        self._ends_whole = True
        for record in self._read():
            self._by_digest[record.digest] = record

    def find(self, digest: str) -> ImportRecord | None:
        """The newest record of a source file."""
        return self._by_digest.get(digest)

    def records(self) -> list[ImportRecord]:
        """The newest record of every source file."""
        return list(self._by_digest.values())

    def add(self, record: ImportRecord) -> None:
        """Append a record.

        Raises:
            OSError: it cannot be written.
        """
        line = json.dumps(asdict(record), ensure_ascii=False) + "\n"
        data = (line if self._ends_whole else "\n" + line).encode()
        descriptor = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        try:
            self._ends_whole = False
            while data:
                data = data[os.write(descriptor, data) :]
            os.fsync(descriptor)
            self._ends_whole = True
        finally:
            os.close(descriptor)
        self._by_digest[record.digest] = record

    def _read(self) -> list[ImportRecord]:
        if not self._path.exists():
            return []
        content = self._path.read_bytes()
        self._ends_whole = content.endswith(b"\n") or not content
        records = []
        for number, line in enumerate(content.splitlines(), start=1):
            if not line.strip():
                continue
            try:
                values = json.loads(line)
                spacing = values["spacing_mm"]
                records.append(
                    ImportRecord(**{**values, "spacing_mm": None if spacing is None else (spacing[0], spacing[1])})
                )
            except (ValueError, TypeError, KeyError, IndexError):
                logger.warning("Line %d of %s is damaged and left out.", number, self._path.name)
        return records
