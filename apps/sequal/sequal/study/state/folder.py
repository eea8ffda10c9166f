"""The state folder of one study: everything the app learns lives here, nothing in the studies folder."""

import hashlib
import re
import uuid
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Self
from urllib.parse import urlunsplit

from sequal.errors import StudyError
from sequal.settings import Settings
from sequal.study.address import split_address
from sequal.study.state.atomic import create_once, remove_abandoned
from sequal.study.state.features import FeatureStore
from sequal.study.state.kept_file import KeptFile
from sequal.study.state.ledger import Ledger
from sequal.study.state.made_for import check_made_for
from sequal.study.state.processes import machine_name
from sequal.study.state.refined import RefinedStore
from sequal.study.state.rejected import RejectedStore
from sequal.study.state.shown import ShownStore
from sequal.study.state.split import Split

__all__ = ["StudyState", "state_root", "study_identity", "study_state_folder"]

_LONGEST_NAME = 60


@dataclass(frozen=True)
class StudyState:
    """The open state of one study.

    Attributes:
        root: the state folder.
        ledger: scores, refinements, rounds and leases.
        refined: refined labels.
        rejected: rejected labels.
    """

    root: Path
    ledger: Ledger
    refined: RefinedStore
    rejected: RejectedStore

    @classmethod
    def open(cls, root: Path, settings: Settings) -> Self:
        """Open a state folder, making what is missing.

        Args:
            root: the folder, as `study_state_folder` or the setting `state` names it.
            settings: `ledger` says where the ledger is.

        Raises:
            StudyError: the folder cannot be written, or the ledger cannot be reached.
            SettingsError: the state is of another model or of other labels.
        """
        try:
            for name in ("refined", "rejected", "checkpoints", "events"):
                (root / name).mkdir(parents=True, exist_ok=True)
            # Not derived from the path: servers on several machines may see the folder under different ones.
            study = _study_id(root / "study.id")
        except (OSError, UnicodeDecodeError) as error:
            raise StudyError(
                f"Expected the state folder `{root}` to be writable, got: {error}. Free some space, or name another "
                "with `--conf state`."
            ) from error
        for folder in (root, root / "checkpoints", root / "refined"):
            remove_abandoned(folder)
        ledger = Ledger.open(settings.ledger or root / "ledger.db", study)
        check_made_for(root, settings, ledger.rounds())
        return cls(root, ledger, RefinedStore(root / "refined"), RejectedStore(root / "rejected"))

    @property
    def published(self) -> Path:
        """The published checkpoint; absent before the first."""
        return self.root / "published.pt"

    @property
    def split_file(self) -> Path:
        """The frozen validation split; absent before it is chosen."""
        return self.root / "split.json"

    @cached_property
    def kept_split(self) -> KeptFile[Split]:
        """The frozen validation split, read again when it is chosen."""
        return KeptFile(self.split_file, Split.load)

    @property
    def checkpoints(self) -> Path:
        """Folder of the rounds' checkpoints."""
        return self.root / "checkpoints"

    def checkpoint_of(self, number: int) -> Path:
        """The checkpoint of a round; absent when it wrote none or was pruned."""
        return self.checkpoints / f"round-{number:04d}.pt"

    @property
    def features(self) -> FeatureStore:
        """Feature vectors of images by checkpoint."""
        return FeatureStore(self.root / "features")

    @property
    def salt(self) -> str:
        """The study's own random text, from which pseudonyms of its patients are made."""
        return (self.root / "study.id").read_text().strip()

    def name(self, settings: Settings) -> str:
        """What tells this state from others: servers of the same name know of each other's leases and rounds.

        SQLite serves the processes of one machine; servers on several need a database.
        """
        place = "its database" if settings.ledger else f"SQLite on {machine_name()}"
        return f"{self.salt[:12]} with {place}"

    @property
    def shown(self) -> ShownStore:
        """What annotators were shown last."""
        return ShownStore(self.root / "shown")

    @property
    def reviewed(self) -> ShownStore:
        """The areas to look at that were given out last, which must not come back as labels."""
        return ShownStore(self.root / "reviewed")

    @property
    def events(self) -> Path:
        """Folder of TensorBoard events."""
        return self.root / "events"


def _study_id(path: Path) -> str:
    """The study's own random name; written once, and then read from a full disk as well."""
    content = path.read_bytes() if path.exists() else create_once(path, uuid.uuid4().hex.encode())
    return content.decode().strip()


def study_identity(studies: str) -> tuple[str, str]:
    """What tells a study from others, and its name.

    Args:
        studies: the studies folder, relative or not, or the URL of a DICOMweb server.

    Returns:
        The absolute path or the URL, without user name, password, query and slash at the end; its last part.

    Raises:
        StudyError: a URL that is none.

    >>> study_identity("http://reader:secret@pacs:8042/dicom-web/?token=x")
    ('http://pacs:8042/dicom-web', 'dicom-web')
    """
    if "://" not in studies:
        folder = Path(studies).expanduser().resolve()
        return str(folder), folder.name
    parts = split_address(studies)
    path = parts.path.rstrip("/")
    identity = urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], path, "", ""))
    return identity, Path(path).name or parts.hostname or ""


def study_state_folder(app_dir: Path, studies: str) -> Path:
    """The state folder of a study that names none.

    Args:
        app_dir: folder of the app.
        studies: the studies folder, relative or not, or the URL of a DICOMweb server.

    Returns:
        `<app>/model/<study name>-<hash>`: the name made fit for a file system, and 8 hexadecimal characters
        of the SHA-256 of its identity, so that studies of the same name keep apart.

    Raises:
        StudyError: a URL that is none.

    >>> study_state_folder(Path("app"), "http://pacs:8042/dicom-web/").name
    'dicom-web-c15e7029'
    >>> study_state_folder(Path("app"), "http://reader:secret@pacs:8042/dicom-web?token=x").name
    'dicom-web-c15e7029'
    """
    identity, name = study_identity(studies)
    safe = re.sub(r"[^A-Za-z0-9._-]+", "_", name).strip("._-")[:_LONGEST_NAME] or "study"
    digest = hashlib.sha256(identity.encode("utf-8", "surrogateescape")).hexdigest()[:8]
    return app_dir / "model" / f"{safe}-{digest}"


def state_root(app_dir: Path, studies: str, settings: Settings) -> Path:
    """The state folder of a study as the settings have it: what `state` names, or that of the study and the model.

    Raises:
        StudyError: as `study_state_folder`.

    >>> state_root(Path("app"), "http://pacs:8042/dicom-web/", Settings(models="volume")).name
    'dicom-web-c15e7029-volume'
    """
    if settings.state:
        return Path(settings.state).expanduser()
    folder = study_state_folder(app_dir, studies)
    return folder if settings.model == Settings.models else folder.with_name(f"{folder.name}-{settings.model}")
