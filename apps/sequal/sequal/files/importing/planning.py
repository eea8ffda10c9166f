"""Which images of a source are new to a study."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from sequal.files.importing.candidate import Candidate, Problem
from sequal.files.importing.journal import ImportRecord, Journal
from sequal.study.folder import images_by_id
from sequal.study.state import file_digest

__all__ = ["Plan", "id_taken", "plan_import"]


@dataclass
class Plan:
    """What to do with each candidate.

    Attributes:
        new: to be imported; of several with one id the first that can be used.
        known: imported before and still in the study, with their records.
        unsure: the study has an image of that id without a record; it may come from an import that was interrupted.
        problems: candidates that cannot be imported.
    """

    new: list[Candidate] = field(default_factory=list)
    known: list[tuple[Candidate, ImportRecord]] = field(default_factory=list)
    unsure: list[Candidate] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)


def plan_import(candidates: Sequence[Candidate], studies: Path, journal: Journal, named: Mapping[str, str]) -> Plan:
    """Compare a source with a study; reads every file once for its digest.

    A DICOM patient that the study knows keeps the name that it has there, also when somebody has changed it since.

    Args:
        candidates: of the source.
        studies: the studies folder.
        journal: of the study.
        named: patient by image id, as `patients.csv` of the study has it.
    """
    plan = Plan()
    there = images_by_id(studies)
    recorded = {record.image for record in journal.records()}
    patients = {
        record.patient_key: named.get(record.image, record.patient)
        for record in journal.records()
        if record.patient_key and record.image in there
    }
    digests: dict[str, str] = {}
    for candidate in candidates:
        item = replace(candidate, patient=patients.get(candidate.patient_key, candidate.patient))
        try:
            digest = file_digest(item.file)
        except OSError as error:
            plan.problems.append(Problem(item.name, f"Expected a readable file, got: {error}. Copy it again."))
            continue
        record = journal.find(digest)
        if digest in digests:
            reason = f"Expected each image once, got the same file as `{digests[digest]}`. It is imported once."
        elif record is not None and record.image in there:
            reason = _other_spacing(item, record)
        elif item.image in there and item.image in recorded:
            reason = id_taken(item, "another image of the study")
        else:
            reason = ""
        digests.setdefault(digest, item.name)
        if reason:
            plan.problems.append(Problem(item.name, reason))
        elif record is not None and record.image in there:
            plan.known.append((item, record))
        else:
            (plan.unsure if item.image in there else plan.new).append(item)
    return plan


def id_taken(item: Candidate, by: str) -> str:
    """Why a candidate cannot have its id."""
    return f"Expected the id `{item.image}` to be free, got {by} with it. Leave out the copy, or rename the file."


def _other_spacing(item: Candidate, record: ImportRecord) -> str:
    if item.spacing_mm is None:
        return ""
    before = record.spacing_mm
    if before is not None and all(
        math.isclose(*pair, rel_tol=1e-6) for pair in zip(item.spacing_mm, before, strict=True)
    ):
        return ""
    was = "no calibration" if before is None else f"{before[0]:g} x {before[1]:g} mm"
    return (
        f"Expected the spacing with which `{record.image}` was imported ({was}), got "
        f"{item.spacing_mm[0]:g} x {item.spacing_mm[1]:g} mm. Take the image out of the study to import it anew."
    )
