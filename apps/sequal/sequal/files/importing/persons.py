"""Two persons under one PatientID."""

from collections.abc import Mapping, Sequence

from sequal.files.importing.candidate import Candidate, Problem
from sequal.files.importing.journal import ImportRecord

__all__ = ["same_person_notes"]


def same_person_notes(candidates: Sequence[Candidate], records: Sequence[ImportRecord]) -> list[Problem]:
    """Name the patients whose files disagree in name, birth date or sex.

    Their images stay together as one patient: for the split of training and validation that is the safe side. Whether
    they are two persons, or one whose name was mistyped, only the user can tell.

    Args:
        candidates: of the source.
        records: of the study.

    Returns:
        One note a patient, at the first file that disagrees.
    """
    first: dict[str, tuple[str, Mapping[str, str]]] = {}
    for record in records:
        if record.patient_key:
            first.setdefault(record.patient_key, (f"image {record.image} of the study", record.person))
    notes: dict[str, Problem] = {}
    for item in candidates:
        if not item.patient_key:
            continue
        where, person = first.setdefault(item.patient_key, (f"`{item.name}`", item.person))
        differ = [field for field in person if field in item.person and item.person[field] != person[field]]
        if differ and item.patient_key not in notes:
            notes[item.patient_key] = Problem(
                item.name,
                f"Expected one person behind one PatientID, got another {' and '.join(differ)} than in {where}. "
                f"Both are kept as patient {item.patient}; give two persons names of their own in patients.csv.",
            )
    return list(notes.values())
