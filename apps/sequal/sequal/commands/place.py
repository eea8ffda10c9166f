"""Which study a command works on: its files, its settings, its state folder and the model in service."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Self

from sequal.commands.spelling import setting_pairs
from sequal.errors import SettingsError, StudyError
from sequal.settings import Settings
from sequal.study.folder import StudyFiles, images_by_id
from sequal.study.model_confs import confs_by_model
from sequal.study.starting_weights import starting_weights
from sequal.study.state import state_root
from sequal.study.volume_plan import with_plan

if TYPE_CHECKING:
    from sequal.commands.pacs_study import PacsStudy

__all__ = ["StudyPlace", "each_model", "output_folder"]


@dataclass(frozen=True)
class StudyPlace:
    """A study, as the server with the same options would open it.

    Attributes:
        files: images, labels, patients.
        settings: as the server's `--conf` gives them.
        state: the state folder, which need not exist.
        starting_weights: which need not exist.
        studies: as it was named.
        pacs: where the images are in a PACS; None: in a folder.
    """

    files: StudyFiles
    settings: Settings
    state: Path
    starting_weights: Path
    studies: str = ""
    pacs: "PacsStudy | None" = field(default=None, repr=False)

    @classmethod
    def find(cls, studies: str | Path, app: Path, state: Path | None, conf: Sequence[str]) -> Self:
        """Look at a studies folder without changing anything.

        Args:
            studies: the studies folder.
            app: folder of the app.
            state: the state folder; None: where the settings say, else the one in the app's model folder.
            conf: `key=value` pairs.

        Raises:
            StudyError: the studies folder is missing or empty, or an address was given.
            SettingsError: a pair is malformed, a key unknown, or a value breaks its rule.
        """
        if "://" in str(studies):
            raise StudyError(
                f"Expected STUDIES to be a folder, got the address {str(studies).rpartition('@')[2]}. This command "
                "works on files; `status`, `measure`, `report` and `export` take addresses as well."
            )
        settings, root = cls._of(str(studies), app, state, conf)
        files = StudyFiles.open(Path(studies))
        settings = with_plan(settings, images_by_id(Path(studies)).values(), root / "volume_plan.json", keep=False)
        return cls(files, settings, root, starting_weights(app, settings), str(studies))

    @classmethod
    def in_pacs(cls, address: str, app: Path, state: Path | None, conf: Sequence[str]) -> Self:
        """Look at a study in a PACS without changing anything.

        Args:
            address: of its DICOMweb service.
            app: as for `find`, and so are the others.
            state: see there.
            conf: see there.

        Raises:
            PacsError: the PACS does not answer.
            SettingsError: as `find`; the address is none, or holds a password.
        """
        from sequal.commands.pacs_study import PacsStudy

        settings, root = cls._of(address, app, state, conf)
        pacs = PacsStudy.find(address, root, settings.model)
        return cls(pacs.files(), settings, root, starting_weights(app, settings), address, pacs)

    @classmethod
    def _of(cls, studies: str, app: Path, state: Path | None, conf: Sequence[str]) -> tuple[Settings, Path]:
        """Settings and state folder, as a server with the same options has them."""
        settings = cls.settings_of(conf)
        if state is not None:
            return settings, state
        return settings, state_root(app, studies, settings)

    @staticmethod
    def frames_only(settings: Settings, command: str) -> None:
        """For a command that knows frames alone.

        Raises:
            SettingsError: the settings are of volumes.
        """
        if settings.model != Settings.models:
            raise SettingsError(
                f"Expected `models` to be {Settings.models} for `{command}`, got {settings.model}. Ask the server: "
                f"POST /infer/{settings.model} tells what its masks measure."
            )

    @staticmethod
    def settings_of(conf: Sequence[str]) -> Settings:
        """Settings from `key=value` pairs.

        Raises:
            SettingsError: a pair is malformed, a key unknown, or a value breaks its rule.
        """
        confs = confs_by_model(setting_pairs(conf))
        if len(confs) > 1:
            raise SettingsError(
                f"Expected `models` to name one model, got {','.join(confs)}. A server of several has a study for "
                f"each: name one of them and its folder, as in `STUDIES/{list(confs)[-1]} --models {list(confs)[-1]}`."
            )
        return Settings.from_conf(next(iter(confs.values())))

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
        if self.pacs is not None:
            return self.pacs.patients()
        return self.files.patients(self.settings.patient_pattern)


def each_model(studies: str, state: Path | None, conf: Sequence[str]) -> list[tuple[str, Path | None, list[str]]]:
    """The study, the state folder and the settings of each model of `models`, as a server of them has it.

    Raises:
        SettingsError: as `confs_by_model`.

    >>> each_model("study", None, ["models=carotid,volume", "labels=liver"])
    [('study/carotid', None, ['models=carotid']), ('study/volume', None, ['models=volume', 'labels=liver'])]
    """
    confs = confs_by_model(setting_pairs(conf))
    if len(confs) == 1:
        return [(studies, state, list(conf))]
    return [
        (
            studies if "://" in studies else str(Path(studies) / model),
            None if state is None else state / model,
            [f"{key}={value}" for key, value in own.items()],
        )
        for model, own in confs.items()
    ]


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
