"""An import from start to end: look, decide what is new, read, write, and tell what happened."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Final

from filelock import FileLock, Timeout

from sequal.errors import SettingsError, StudyError
from sequal.files.importing.candidate import Problem
from sequal.files.importing.journal import JOURNAL_NAME, Journal
from sequal.files.importing.patients import PatientManifest
from sequal.files.importing.persons import same_person_notes
from sequal.files.importing.planning import Plan, plan_import
from sequal.files.importing.pseudonyms import SALT_NAME, Pseudonyms
from sequal.files.importing.sources import ImportOptions, find_candidates
from sequal.files.importing.writing import ImportedImage, StudyWriter
from sequal.study.folder import images_by_id

__all__ = ["ImportReport", "run_import"]

_LOCK_NAME: Final = ".import.lock"
#: `--final none`: no reader's labels become the expert's.
_NOBODY: Final = "none"


@dataclass
class ImportReport:
    """What an import did, or would do.

    Attributes:
        imported: new images.
        known: number of images that were imported before.
        labels_added: (image id, tag) of labels added to those.
        problems: files that cannot be used.
        notes: files that were used although something is wrong with them.
        others: files that are no images, and why each was not looked at.
        readers: readers of the source, sorted.
        final: the reader whose labels are the expert's; None: several, and none was chosen.
    """

    imported: list[ImportedImage] = field(default_factory=list)
    known: int = 0
    labels_added: list[tuple[str, str]] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    notes: list[Problem] = field(default_factory=list)
    others: list[Problem] = field(default_factory=list)
    readers: list[str] = field(default_factory=list)
    final: str | None = None


def run_import(
    source: Path,
    studies: Path,
    options: ImportOptions,
    *,
    dry_run: bool = False,
    found_one: Callable[[str], None] = lambda _: None,
    start: Callable[[int], None] = lambda _: None,
    done_one: Callable[[str], None] = lambda _: None,
) -> ImportReport:
    """Import a source into a studies folder.

    Files are written whole or not at all, labels before their image, and `patients.csv` before both, so that an
    interrupted import leaves a study that can be used, and the next run goes on with it. No file of the study is
    ever overwritten, least of all a label.

    Args:
        source: a folder or one file.
        studies: the studies folder; made if missing.
        options: see there.
        dry_run: read everything and write nothing.
        found_one: called with the name of each file that is looked at.
        start: called with the number of images, before the first is read.
        done_one: called with the name of each image.

    Raises:
        StudyError: source or study cannot be used, another import is running, or the disk is full; what was imported
            until then stays.
        SettingsError: an option breaks its rule.
        ImageError: the given spacing is not credible.
    """
    _check_places(source, studies)
    with nullcontext() if dry_run else _locked(studies):
        journal = Journal(studies / JOURNAL_NAME)
        pseudonyms = _pseudonyms(studies, journal, dry_run)
        found = find_candidates(source, options, pseudonyms, leave_out=studies, progress=found_one)
        report = ImportReport(problems=found.problems, notes=found.notes, others=found.others, readers=found.readers)
        report.final = _final_reader(found.readers, options.final)
        manifest = PatientManifest(studies)
        plan = plan_import(found.candidates, studies, journal, manifest.named)
        report.known = len(plan.known)
        report.problems += plan.problems
        report.notes += same_person_notes(found.candidates, journal.records())
        start(len(plan.known) + len(plan.new) + len(plan.unsure))
        writer = StudyWriter(studies, journal, report.final, dry_run=dry_run)
        _write(plan, writer, manifest, report, done_one)
    return report


def _check_places(source: Path, studies: Path) -> None:
    if studies.exists() and not studies.is_dir():
        raise StudyError(f"Expected `{studies}` to be a folder, got a file. Name another with --studies.")
    place, study = source.resolve(), studies.resolve()
    if place == study or study in place.parents:
        raise StudyError(
            f"Expected the source to lie outside the study, got `{source}` in `{studies}`. The server finds images in "
            "the studies folder by itself; import into another folder."
        )


@contextmanager
def _locked(studies: Path) -> Iterator[None]:
    try:
        studies.mkdir(parents=True, exist_ok=True)
        with FileLock(studies / _LOCK_NAME, timeout=0):
            yield
    except Timeout as error:
        raise StudyError(f"Expected no other import into `{studies}`, got one that is running. Wait for it.") from error
    except OSError as error:
        raise StudyError(
            f"Expected `{studies}` to be writable, got: {error}. What was imported stays; run the import again."
        ) from error


def _pseudonyms(studies: Path, journal: Journal, dry_run: bool) -> Callable[[], Pseudonyms]:
    """Gives the study's hashes; the salt is made when the first DICOM file needs it."""
    needed = any(record.patient_key for record in journal.records())

    @cache
    def hashes() -> Pseudonyms:
        if dry_run and not needed and not (studies / SALT_NAME).exists():
            return Pseudonyms.throwaway()
        return Pseudonyms.open(studies, needed=needed)

    return hashes


def _final_reader(readers: list[str], wanted: str | None) -> str | None:
    if wanted is None:
        return readers[0] if len(readers) == 1 else None
    if wanted.lower() == _NOBODY:
        return None
    chosen = next((reader for reader in readers if reader.lower() == wanted.lower()), None)
    if chosen is None:
        there = ", ".join(readers) or "a source without named readers"
        raise SettingsError(
            f"Expected `--final` to be a reader of the source or none, got {wanted!r}. It has: {there}."
        )
    return chosen


def _write(
    plan: Plan,
    writer: StudyWriter,
    manifest: PatientManifest,
    report: ImportReport,
    done_one: Callable[[str], None],
) -> None:
    """Write what is new; the manifest first, and again without the images that did not come."""
    planned = {item.image: item.patient for item in plan.new}
    if not writer.dry_run:
        manifest.write(planned)
    try:
        for item, record in plan.known:
            report.labels_added += [(record.image, tag) for tag in writer.add_labels(item, record)]
            done_one(item.name)
        for item in (*plan.new, *plan.unsure):
            image = writer.add_image(item)
            if image is not None:
                report.imported.append(image)
            done_one(item.name)
    finally:
        report.problems += writer.problems
        report.notes += writer.notes
        if not writer.dry_run:
            with suppress(OSError):  # rows of images that did not come do no harm
                there = images_by_id(writer.studies)
                arrived = {image: patient for image, patient in planned.items() if image in there}
                manifest.write(arrived | {image.image: image.patient for image in report.imported})
