"""Which study a command works on: its files, its settings, its state folder and the model in service."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from lib.errors import SettingsError, StudyError
from lib.settings import Settings
from lib.state import study_state_folder
from lib.study_folder import STARTING_WEIGHTS, StudyFiles

__all__ = ["StudyPlace", "output_folder"]


@dataclass(frozen=True)
class StudyPlace:
    """A study, as the server with the same options would open it.

    Attributes:
        files: images, labels, patients.
        settings: as the server's `--conf` gives them.
        state: the state folder, which need not exist.
        starting_weights: which need not exist.
    """

    files: StudyFiles
    settings: Settings
    state: Path
    starting_weights: Path

    @classmethod
    def find(cls, studies: Path, app: Path, state: Path | None, conf: Sequence[str]) -> Self:
        """Look at a study without changing anything.

        Args:
            studies: the studies folder.
            app: folder of the app.
            state: the state folder; None: where the settings say, else the one in the app's model folder.
            conf: `key=value` pairs.

        Raises:
            StudyError: the studies folder is missing or empty.
            SettingsError: a pair is malformed, a key unknown, or a value breaks its rule.
        """
        settings = cls.settings_of(conf)
        if state is not None:
            root = state
        else:
            root = Path(settings.state).expanduser() if settings.state else study_state_folder(app, str(studies))
        return cls(StudyFiles.open(studies), settings, root, app / "model" / STARTING_WEIGHTS)

    @staticmethod
    def settings_of(conf: Sequence[str]) -> Settings:
        """Settings from `key=value` pairs.

        Raises:
            SettingsError: a pair is malformed, a key unknown, or a value breaks its rule.
        """
        return Settings.from_conf(dict(_pair(text) for text in conf))

    @property
    def published(self) -> Path:
        """Where a round publishes; may be absent."""
        return self.state / "published.pt"

    @property
    def checkpoint(self) -> Path | None:
        """The checkpoint in service, or None when there is neither a published one nor starting weights."""
        return next((path for path in (self.published, self.starting_weights) if path.exists()), None)

    @property
    def patients(self) -> dict[str, str]:
        """Patient by image id."""
        return self.files.patients(self.settings.patient_pattern)


def output_folder(folder: Path) -> Path:
    """Make the folder that a command writes to.

    Raises:
        StudyError: it cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StudyError(f"Expected `{folder}` to be a folder to write to, got: {error}. Name another.") from error
    return folder


def _pair(text: str) -> tuple[str, str]:
    key, separator, value = text.partition("=")
    if not separator or not key.strip():
        raise SettingsError(f"Expected `--conf` to be key=value, got {text!r}. Write for example --conf seed=1.")
    return key.strip(), value
