"""What one study keeps between rounds: ledger, checkpoints, refined labels, the validation split."""

from lib.state.atomic import atomic_write, create_once
from lib.state.checkpoints import (
    Checkpoint,
    file_digest,
    load_checkpoint,
    prune,
    publish,
    save_checkpoint,
)
from lib.state.claim import Claim, claim_pacs, claim_study
from lib.state.derived import read_derived
from lib.state.features import FeatureStore
from lib.state.folder import StudyState, study_identity, study_state_folder
from lib.state.health import kept_bytes, state_warnings, study_warnings
from lib.state.kept_file import KeptFile
from lib.state.leases import ANONYMOUS
from lib.state.ledger import Ledger
from lib.state.models import STARTING, KeptModel, StudyModels
from lib.state.patients import MANIFEST_NAME, PatientNames, patient_of
from lib.state.processes import end_with_parent, has_ended, process_name
from lib.state.refined import Provenance, RefinedStore
from lib.state.refinements import RefinedRecord
from lib.state.rejected import RejectedStore
from lib.state.repair import repair_published
from lib.state.round_lock import ROUND, RoundLock, round_lock
from lib.state.rounds import RoundOutcome, RoundRecord, RoundStatus
from lib.state.skips import SkipRecord
from lib.state.split import Partition, Split, freeze_split, retire_split

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
    "Ledger",
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
    "claim_pacs",
    "claim_study",
    "create_once",
    "end_with_parent",
    "file_digest",
    "freeze_split",
    "has_ended",
    "kept_bytes",
    "load_checkpoint",
    "patient_of",
    "process_name",
    "prune",
    "publish",
    "read_derived",
    "repair_published",
    "retire_split",
    "round_lock",
    "save_checkpoint",
    "state_warnings",
    "study_identity",
    "study_state_folder",
    "study_warnings",
]
