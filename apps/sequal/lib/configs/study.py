"""One study as the server holds it: settings, state, the model in service and the items of its datastore."""

from dataclasses import dataclass
from pathlib import Path

import torch
from monailabel.interfaces.datastore import Datastore, DefaultLabelTag

from lib.inference import ServedModel, choose_device
from lib.items import Item
from lib.settings import Settings
from lib.state import MANIFEST_NAME, StudyState, patient_of, study_state_folder
from lib.study_folder import STARTING_WEIGHTS

__all__ = ["STARTING_WEIGHTS", "Study"]


@dataclass(frozen=True)
class Study:
    """What the infer task, the trainer, the scoring method and the strategies share.

    Attributes:
        settings: checked once, at start.
        state: the study's state folder.
        served: the model in service.
        starting_weights: may be absent.
        manifest: `patients.csv` of the studies folder; may be absent, None for a remote study.
        device: where networks run.
    """

    settings: Settings
    state: StudyState
    served: ServedModel
    starting_weights: Path
    manifest: Path | None
    device: torch.device

    @classmethod
    def open(cls, app_dir: str, studies: str, conf: dict[str, str]) -> "Study":
        """Check the settings and open the state of a study.

        Raises:
            SettingsError: an unknown key, a bad value, or CUDA asked for where there is none.
            StudyError: the state folder cannot be used.
        """
        settings = Settings.from_conf(conf)
        device = choose_device(settings.device)
        app = Path(app_dir)
        root = Path(settings.state).expanduser() if settings.state else study_state_folder(app, studies)
        state = StudyState.open(root, settings)
        weights = app / "model" / STARTING_WEIGHTS
        manifest = None if "://" in studies else Path(studies) / MANIFEST_NAME
        return cls(settings, state, ServedModel(state.published, weights, device), weights, manifest, device)

    @property
    def train_stats(self) -> Path:
        """File that a running round reports to and `/info/` reads."""
        return self.state.root / "train_stats.json"

    def patients(self, image_ids: list[str]) -> dict[str, str]:
        """Patient of every image."""
        return patient_of(image_ids, self.manifest, self.settings.patient_pattern)

    def labelled(self, datastore: Datastore) -> list[Item]:
        """Every image with a final label, sorted by id."""
        return self._items(datastore, sorted(datastore.get_labeled_images()), labelled=True)

    def unlabelled(self, datastore: Datastore) -> list[Item]:
        """Every image without a final label, sorted by id."""
        return self._items(datastore, sorted(datastore.get_unlabeled_images()), labelled=False)

    def _items(self, datastore: Datastore, ids: list[str], *, labelled: bool) -> list[Item]:
        patients = self.patients(sorted(datastore.list_images()))
        tag = DefaultLabelTag.FINAL
        return [
            Item(
                id=image,
                image=Path(datastore.get_image_uri(image)),
                label=Path(datastore.get_label_uri(datastore.get_label_by_image_id(image, tag), tag))
                if labelled
                else None,
                patient=patients[image],
            )
            for image in ids
        ]
