"""What one study keeps between rounds: ledger, checkpoints, refined labels, the validation split."""

from sequal.study.state.atomic import atomic_write, create_once
from sequal.study.state.checkpoints import (
    Checkpoint,
    Member,
    file_digest,
    load_checkpoint,
    prune,
    publish,
    save_checkpoint,
)
from sequal.study.state.claim import Claim, claim_folder, claim_pacs, pacs_key
from sequal.study.state.derived import read_derived
from sequal.study.state.features import FeatureStore
from sequal.study.state.folder import StudyState, state_root, study_identity, study_state_folder
from sequal.study.state.health import kept_bytes, state_warnings, study_warnings
from sequal.study.state.kept_file import KeptFile
from sequal.study.state.label_checks import LabelCheck
from sequal.study.state.leases import ANONYMOUS
from sequal.study.state.ledger import Ledger
from sequal.study.state.ledger_claim import LedgerClaim
from sequal.study.state.made_for import note_made_for
from sequal.study.state.models import STARTING, KeptModel, StudyModels
from sequal.study.state.patients import MANIFEST_NAME, PatientNames, patient_of
from sequal.study.state.processes import end_with_parent, has_ended, process_name
from sequal.study.state.refined import Provenance, RefinedStore
from sequal.study.state.refinements import RefinedRecord
from sequal.study.state.rejected import RejectedStore
from sequal.study.state.repair import repair_published
from sequal.study.state.round_lock import ROUND, RoundLock, round_lock
from sequal.study.state.rounds import RoundOutcome, RoundRecord, RoundStatus
from sequal.study.state.skips import SkipRecord
from sequal.study.state.split import Partition, Split, freeze_split, retire_split

__all__ = [
    "ANONYMOUS",
    "MANIFEST_NAME",
    "ROUND",
    "STARTING",
    "Checkpoint",
    "Claim",
    "FeatureStore",
    "KeptFile",
    "KeptModel",
    "LabelCheck",
    "Ledger",
    "LedgerClaim",
    "Member",
    "Partition",
    "PatientNames",
    "Provenance",
    "RefinedRecord",
    "RefinedStore",
    "RejectedStore",
    "RoundLock",
    "RoundOutcome",
    "RoundRecord",
    "RoundStatus",
    "SkipRecord",
    "Split",
    "StudyModels",
    "StudyState",
    "atomic_write",
    "claim_folder",
    "claim_pacs",
    "create_once",
    "end_with_parent",
    "file_digest",
    "freeze_split",
    "has_ended",
    "kept_bytes",
    "load_checkpoint",
    "note_made_for",
    "pacs_key",
    "patient_of",
    "process_name",
    "prune",
    "publish",
    "read_derived",
    "repair_published",
    "retire_split",
    "round_lock",
    "save_checkpoint",
    "state_root",
    "state_warnings",
    "study_identity",
    "study_state_folder",
    "study_warnings",
]
