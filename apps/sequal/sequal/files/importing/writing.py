"""Images and labels of candidates into a study, without touching what is there."""

import hashlib
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sequal.anatomy.measurement import label_warnings
from sequal.errors import LabelError
from sequal.files.imaging import Calibration, read_frame, says_no_layer
from sequal.files.importing.candidate import Candidate, LabelSource, Problem, why_not
from sequal.files.importing.ids import tag_of
from sequal.files.importing.journal import ImportRecord, Journal
from sequal.files.importing.planning import id_taken
from sequal.files.importing.storing import IMPORT_SUFFIX, holds, image_file, label_file, put_new
from sequal.labels import INTIMA_MEDIA
from sequal.study.folder import FINAL_LABELS, images_by_id
from sequal.study.state import file_digest

__all__ = ["ImportedImage", "StudyWriter"]


@dataclass(frozen=True)
class ImportedImage:
    """A new image of the study.

    Attributes:
        image: its id.
        name: path within the source.
        patient: empty: its own.
        grid: (W, H, F).
        calibration: size of a pixel.
        tags: of the labels that came with it, sorted.
    """

    image: str
    name: str
    patient: str
    grid: tuple[int, int, int]
    calibration: Calibration
    tags: tuple[str, ...]


class StudyWriter:
    """Writes candidates, collecting what cannot be used.

    Args:
        studies: the studies folder.
        journal: of the study.
        final: reader whose labels become the expert's; None: only those of sources with one reader.
        dry_run: read and check everything, write nothing.
    """

    def __init__(self, studies: Path, journal: Journal, final: str | None, *, dry_run: bool) -> None:
        self.studies, self._journal, self._final = studies, journal, final
        self.dry_run = dry_run
        self.problems: list[Problem] = []
        self.notes: list[Problem] = []
        self._images = images_by_id(studies)
        self._written: dict[str, str] = {}
        self._frames = {
            (record.patient_key or record.patient, record.pixels): f"image {record.image} of the study"
            for record in journal.records()
            if record.image in self._images
        }
        self._labels_of = cache(lambda tag: images_by_id(self._folder(tag)))

    def add_image(self, item: Candidate) -> ImportedImage | None:
        """Read a candidate and write its labels, the image and the record, in this order.

        Returns:
            The image; None when it cannot be used, and `problems` says why.

        Raises:
            OSError: the study cannot be written.
        """
        try:
            digest = file_digest(item.file)
            contents = item.read()
            content = image_file(contents)
        except Exception as error:
            self._refuse(item, why_not(error))
            return None
        frame = item.patient_key or item.patient, hashlib.sha256(content).hexdigest()
        objection = self._objection(item, content, frame)
        if objection:
            self._refuse(item, objection)
            return None
        record = _record(item, digest, contents.calibration, frame[1])
        labels, written = self._write_labels(item, record, contents.grid, contents.affine)
        if not self._put(self._file(item), content):
            self._refuse(item, id_taken(item, "another image of the study"))
            return None
        if not self.dry_run:
            self._journal.add(replace(record, labels=labels))
        self._written[item.image] = item.name
        self._frames[frame] = f"`{item.name}`"
        self.notes += [Problem(item.name, note) for note in (item.note, *contents.notes) if note]
        return ImportedImage(item.image, item.name, item.patient, contents.grid, contents.calibration, tuple(written))

    def _objection(self, item: Candidate, content: bytes, frame: tuple[str, str]) -> str:
        """Why an image cannot go into the study as it is; empty: it can."""
        if item.image in self._written:
            return id_taken(item, f"`{self._written[item.image]}`")
        if item.image in self._images and not holds(self._file(item), content):
            return id_taken(item, "another image of the study")
        if frame in self._frames:
            return f"Expected each frame once, got the pixels of {self._frames[frame]} again. One of the two is enough."
        return ""

    def _file(self, item: Candidate) -> Path:
        return self.studies / f"{item.image}{IMPORT_SUFFIX}"

    def add_labels(self, item: Candidate, record: ImportRecord) -> list[str]:
        """Write the labels that came since an image was imported.

        A label that was imported once and removed from the study since does not come back.

        Returns:
            Their tags.

        Raises:
            OSError: the study cannot be written.
        """
        try:
            if all(record.labels.get(tag) == _digest(source) for source in item.labels for tag in self._tags(source)):
                return []
            frame = read_frame(self._images[record.image])
        except Exception as error:
            self._refuse(item, why_not(error))
            return []
        labels, written = self._write_labels(item, record, frame.grid, frame.affine)
        if not self.dry_run and labels != dict(record.labels):
            self._journal.add(replace(record, labels=labels))
        return written

    def _write_labels(
        self, item: Candidate, record: ImportRecord, grid: tuple[int, int, int], affine: NDArray[np.float64]
    ) -> tuple[dict[str, str], list[str]]:
        """Write the labels that the record does not have.

        Returns:
            Digest by tag of all that were offered to the study, also of those for which it kept its own; and the tags
            that were written, sorted.
        """
        labels, written = dict(record.labels), []
        for source in item.labels:
            name = "/".join([*([source.reader] if source.reader else []), source.files[0].name])
            try:
                digest = _digest(source)
                tags = [tag for tag in self._tags(source) if labels.get(tag) != digest]
                if not tags:
                    continue
                label = source.read(grid)
                if source.traced_layer:
                    calibration = Calibration(record.spacing_mm, record.calibration)
                    self.notes += [Problem(name, note) for note in _checked(label, source, calibration)]
            except Exception as error:
                self.problems.append(Problem(name, why_not(error)))
                continue
            for tag in tags:
                labels[tag] = digest
                if self._put_label(tag, record.image, label, affine):
                    written.append(tag)
                else:
                    self.notes.append(
                        Problem(name, f"The study has another `{tag}` label of {record.image}: it stays as it is.")
                    )
        return labels, sorted(written)

    def _put_label(self, tag: str, image: str, label: NDArray[np.uint8], affine: NDArray[np.float64]) -> bool:
        target = self._folder(tag) / f"{image}{IMPORT_SUFFIX}"
        there = self._labels_of(tag).get(image)
        if there is not None and there != target:
            return False
        return self._put(target, label_file(label, affine))

    def _tags(self, source: LabelSource) -> list[str]:
        """That of the reader, and `final` for the chosen one and for one without a name."""
        tags = [tag_of(source.reader)] if source.reader else []
        return [*tags, *([FINAL_LABELS.name] if source.reader in ("", self._final) else [])]

    def _refuse(self, item: Candidate, reason: str) -> None:
        self.problems.append(Problem(item.name, reason))

    def _folder(self, tag: str) -> Path:
        return self.studies / FINAL_LABELS.parent / tag

    def _put(self, target: Path, content: bytes) -> bool:
        if self.dry_run:
            return not target.exists() or holds(target, content)
        return put_new(target, content)


def _record(item: Candidate, digest: str, calibration: Calibration, pixels: str) -> ImportRecord:
    return ImportRecord(
        image=item.image,
        digest=digest,
        calibration=calibration.source,
        spacing_mm=calibration.spacing_mm,
        source=item.name if item.record_name else "",
        patient=item.patient,
        patient_key=item.patient_key,
        person=item.person,
        pixels=pixels,
    )


def _digest(source: LabelSource) -> str:
    return hashlib.sha256("".join(file_digest(path) for path in source.files).encode()).hexdigest()


def _checked(label: NDArray[np.uint8], source: LabelSource, calibration: Calibration) -> list[str]:
    """What the user should know about the label of a layer."""
    empty = says_no_layer(label)
    if not (label == INTIMA_MEDIA).any() and not empty:
        raise LabelError(
            f"Expected `{source.files[0].name}` to show the layer, got none of it. Draw it, or leave it out."
        )
    notes = ["It is empty: it is taken to say that the frame shows no layer."] if empty else []
    return [*notes, *label_warnings(label, calibration)]
