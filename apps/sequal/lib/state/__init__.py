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
from lib.state.features import FeatureStore
from lib.state.folder import StudyState, study_state_folder
from lib.state.kept_file import KeptFile
from lib.state.leases import ANONYMOUS
from lib.state.ledger import Ledger
from lib.state.models import STARTING, KeptModel, StudyModels
from lib.state.patients import MANIFEST_NAME, PatientNames, patient_of
from lib.state.refined import Provenance, RefinedStore
from lib.state.refinements import RefinedRecord
from lib.state.rejected import RejectedStore
from lib.state.rounds import RoundOutcome, RoundRecord, RoundStatus
from lib.state.skips import SkipRecord
from lib.state.split import Partition, Split, freeze_split

__all__ = [
    "ANONYMOUS",
    "MANIFEST_NAME",
    "STARTING",
    "Checkpoint",
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
    "RoundOutcome",
    "RoundRecord",
    "RoundStatus",
    "SkipRecord",
    "Split",
    "StudyModels",
    "StudyState",
    "atomic_write",
    "create_once",
    "file_digest",
    "freeze_split",
    "load_checkpoint",
    "patient_of",
    "prune",
    "publish",
    "save_checkpoint",
    "study_state_folder",
]
