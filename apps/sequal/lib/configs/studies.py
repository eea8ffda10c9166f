"""The studies of a server: one, or one for each of its models."""

import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any, TypeVar

from monailabel.config import settings as server_settings

from lib.configs.study import Study
from sequal.anatomy.models import MODELS
from sequal.errors import SequalError, SettingsError, StudyError
from sequal.settings import Settings
from sequal.study.folder import FINAL_LABELS, images_by_id
from sequal.study.model_confs import confs_by_model
from sequal.study.state import repair_published, state_warnings, study_warnings

__all__ = ["Studies", "chosen"]

logger = logging.getLogger(__name__)

T = TypeVar("T")


@dataclass(frozen=True)
class Studies:
    """What a server serves, in the order of `models`.

    With one model the studies folder is that of the study. With several it has a subfolder for each, which is a whole
    study under the model's name. Of a PACS each model has the series of its modalities. A server of that model alone,
    on that subfolder or that PACS, has the same study and the same state.

    Attributes:
        place: the studies folder, or the address of a PACS, as the server was given it.
        by_model: study by the name of its model.
    """

    place: str
    by_model: Mapping[str, Study]

    @classmethod
    def open(
        cls, app_dir: str, place: str, conf: Mapping[str, str], plan: Callable[[Settings, Path], Settings] | None = None
    ) -> "Studies":
        """Check the settings and open the state of every study.

        Args:
            app_dir: folder of the app.
            place: the studies folder, or the address of a PACS.
            conf: as MONAI Label hands it over.
            plan: as `Study.open` takes it.

        Raises:
            SettingsError: as `confs_by_model` and `Study.open`; of several models the message names the one. Or
                several models are to share a remote study of another kind than DICOMweb, or a PACS and a modality.
            StudyError: a subfolder is missing, or as `Study.open`.
        """
        confs = confs_by_model(conf)
        if len(confs) == 1:
            ((model, own),) = confs.items()
            return cls(place, {model: Study.open(app_dir, place, own, plan)})
        in_pacs = "://" in place
        if in_pacs and server_settings.MONAI_LABEL_DATASTORE:
            raise SettingsError(
                "Expected a DICOMweb server or a folder for several models, because the modality of a series says "
                f"whose it is, got MONAI_LABEL_DATASTORE={server_settings.MONAI_LABEL_DATASTORE}. Start a server for "
                "each model, or leave MONAI_LABEL_DATASTORE unset."
            )
        if in_pacs:
            _check_modalities(list(confs))
        else:
            _check_folders(place, list(confs))
        studies = {}
        for model, own in confs.items():
            try:
                studies[model] = Study.open(app_dir, place if in_pacs else str(Path(place) / model), own, plan)
            except SettingsError as error:
                raise SettingsError(f"For the model `{model}`: {error}") from error
        return cls(place, studies)

    def __iter__(self) -> Iterator[Study]:
        """Every study."""
        return iter(self.by_model.values())

    @property
    def first(self) -> Study:
        """The one that is meant where nothing is said."""
        return next(iter(self))

    @property
    def of_frames(self) -> Study | None:
        """The one that the browser's page to annotate shows."""
        return next((study for study in self if study.model.is_layer), None)

    @property
    def labels(self) -> list[str]:
        """Names of the labels of all models, each once."""
        return list(dict.fromkeys(label for study in self for label in study.model.labels))

    def look_after(self) -> list[str]:
        """Repair what can be repaired, and say in the log what is not well; what holds for the studies folders."""
        found: list[str] = []
        for study in self:
            try:
                repair_published(study.state)
            except SequalError as error:
                logger.error("%s", error)
            of_folder = [] if "://" in study.studies else study_warnings(Path(study.studies))
            for warning in [*of_folder, *state_warnings(study.state.root)]:
                logger.warning(warning)
            found += of_folder
        for warning in self.warnings():
            logger.warning(warning)
        return found

    def warnings(self) -> list[str]:
        """What is not well with how the images are shared out."""
        if len(self.by_model) == 1 or "://" in self.place:
            return []
        place = Path(self.place)
        found = [*images_by_id(place).values(), *images_by_id(place / FINAL_LABELS).values()]
        stray = sorted(str(path.relative_to(place)) for path in found)
        if not stray:
            return []
        shown = ", ".join(stray[:3]) + (", …" if len(stray) > 3 else "")
        folders = " or ".join(f"`{place.name}/{model}`" for model in self.by_model)
        return [f"Files that lie beside the folders of the models are not used ({shown}). Move each into {folders}."]


def chosen(by_model: Mapping[str, T], request: Mapping[str, Any]) -> dict[str, T]:
    """What a request is for: the one of its `model`, or all where it names none.

    Raises:
        SettingsError: it names a model that is not served.
    """
    model = request.get("model")
    if model is None:
        return dict(by_model)
    if model not in by_model:
        raise SettingsError(
            f"Expected `model` to be one that is served ({', '.join(by_model)}), got {str(model)[:80]!r}. Name one of "
            "these, or leave it out."
        )
    return {model: by_model[model]}


def _check_modalities(models: list[str]) -> None:
    for one, other in combinations(models, 2):
        shared = [name for name in MODELS[one].modalities if name in MODELS[other].modalities]
        if shared:
            raise SettingsError(
                "Expected models of different modalities for one PACS, because the modality of a series says whose it "
                f"is, got {one} and {other}, which both take {' and '.join(shared)}. Start a server for each of them."
            )


def _check_folders(place: str, models: list[str]) -> None:
    missing = [model for model in models if not (Path(place) / model).is_dir()]
    if missing:
        raise StudyError(
            f"Expected `{place}` to have a folder for each model ({', '.join(models)}), got none of the name "
            f"{' and '.join(missing)}. Make `{Path(place) / missing[0]}` and move the images of that model, and their "
            "`labels`, into it."
        )
