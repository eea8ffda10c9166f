"""One study as the server holds it: settings, state, the model in service and the items of its datastore."""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path
from typing import Protocol, runtime_checkable

import torch
from fastapi import HTTPException
from monailabel.interfaces.datastore import Datastore, DefaultLabelTag

from sequal.acquisition import Pool
from sequal.anatomy.model import Model
from sequal.anatomy.models import model_of
from sequal.files.imaging.claims import set_largest_image
from sequal.prediction import ServedModel, check_serves, choose_device
from sequal.settings import Settings
from sequal.study.folder import FINAL_LABELS, images_by_id
from sequal.study.items import Item
from sequal.study.kept_pool import kept_pool
from sequal.study.pool import study_pool
from sequal.study.pool_index import PoolIndex
from sequal.study.starting_weights import starting_weights
from sequal.study.state import (
    MANIFEST_NAME,
    KeptFile,
    PatientNames,
    StudyState,
    note_made_for,
    repair_published,
    state_root,
)
from sequal.study.volume_plan import with_plan

__all__ = ["Study"]

logger = logging.getLogger(__name__)


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
        studies: the studies folder, or the address of a PACS.
    """

    settings: Settings
    state: StudyState
    served: ServedModel
    starting_weights: Path
    manifest: Path | None
    device: torch.device
    studies: str = ""
    _kept_patients: dict[PoolIndex, KeptFile[PatientNames]] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def open(
        cls,
        app_dir: str,
        studies: str,
        conf: dict[str, str],
        plan: Callable[[Settings, Path], Settings] | None = None,
    ) -> "Study":
        """Check the settings and open the state of a study.

        Args:
            app_dir: folder of the app.
            studies: folder or address.
            conf: as MONAI Label hands it over.
            plan: `with_plan` for a remote study, whose images are no files.

        Raises:
            SettingsError: an unknown key, a bad value, CUDA asked for where there is none, or a state of another model
                or of other labels.
            StudyError: the state folder cannot be used.
        """
        settings = Settings.from_conf(conf)
        set_largest_image(settings.max_image_pixels)
        device = choose_device(settings.device)
        app = Path(app_dir)
        root = state_root(app, studies, settings)
        state = StudyState.open(root, settings)
        kept = root / "volume_plan.json"
        if plan is not None and "://" in studies:
            settings = plan(settings, kept)
        else:
            settings = with_plan(settings, _files(studies), kept)
        _ = model_of(settings).patch  # one that no network can learn from stops the start
        labels = (root / "dicomweb" if "://" in studies else Path(studies)) / FINAL_LABELS
        with suppress(OSError):  # a full disk must not stop a study that is there
            if images_by_id(labels):  # of an older version, or copied there
                note_made_for(root, settings)
        weights = starting_weights(app, settings)
        manifest = None if "://" in studies else Path(studies) / MANIFEST_NAME
        check = partial(check_serves, settings=settings, name="the model in service")
        served = ServedModel(state.published, weights, device, lambda: repair_published(state), check)
        return cls(
            settings,
            state,
            served,
            weights,
            manifest,
            device,
            studies,
        )

    @cached_property
    def model(self) -> Model:
        """What is segmented."""
        return model_of(self.settings)

    @property
    def train_stats(self) -> Path:
        """File that a running round reports to and `/info/` reads."""
        return self.state.root / "train_stats.json"

    def own(self, datastore: Datastore) -> Datastore:
        """The images of this study, where the datastore of the server holds those of several models."""
        return datastore.of_model(self.model.name) if isinstance(datastore, _HoldsStudies) else datastore

    def patients(self, image_ids: list[str], datastore: Datastore) -> dict[str, str]:
        """Patient of every image: from the manifest or the ids, or as a datastore that knows patients tells."""
        told = datastore.patients(image_ids) if isinstance(datastore, _KnowsPatients) else {}
        # The manifest is of the whole study: names of other images of it are no mistakes.
        every = datastore.list_images() if self.manifest is not None and self.manifest.is_file() else image_ids
        names = PatientNames(self.manifest, self.settings.patient_pattern, dict.fromkeys(every))
        return {image: names[image] for image in image_ids} | told

    def pool(self, datastore: Datastore) -> tuple[Pool, AbstractContextManager[object]]:
        """The pool that a strategy ranks, and the lock to hold while it does.

        It costs next to nothing where the datastore keeps its ids, else it is put together.

        Raises:
            StudyError: the split, the manifest or the ledger cannot be read.
        """
        datastore = self.own(datastore)
        index = datastore.pool_index if isinstance(datastore, _KeepsIds) else None
        if index is not None:
            patients, version = self._patients_of(index).get()
            skipped = self.state.ledger.skipped()
            with index.lock:
                return kept_pool(self.state, self.served.digest, index, patients, version, skipped), index.lock
        unlabelled, labelled = datastore.get_unlabeled_images(), datastore.get_labeled_images()
        every = self.patients(unlabelled + labelled, datastore)
        return study_pool(self.state, self.served.digest, unlabelled, labelled, every), nullcontext()

    def patient_names(self, index: PoolIndex) -> Mapping[str, str]:
        """Patient by image id, from the manifest or the ids, of the images that a folder keeps.

        Raises:
            StudyError: the manifest cannot be read.
        """
        return self._patients_of(index).get()[0]

    def _patients_of(self, index: PoolIndex) -> KeptFile[PatientNames]:
        if index not in self._kept_patients:
            manifest, pattern = self.manifest, self.settings.patient_pattern
            self._kept_patients[index] = KeptFile(
                manifest or Path(MANIFEST_NAME), lambda _: PatientNames(manifest, pattern, index)
            )
        return self._kept_patients[index]

    def labelled(self, datastore: Datastore) -> list[Item]:
        """Every image with a final label, sorted by id."""
        store = self.own(datastore)
        return self._items(store, sorted(store.get_labeled_images()), labelled=True)

    def unlabelled(self, datastore: Datastore) -> list[Item]:
        """Every image without a final label that nobody skipped, sorted by id."""
        store = self.own(datastore)
        return self._items(store, sorted(self._unlabelled(store)), labelled=False)

    def listed(self, datastore: Datastore) -> tuple[list[Item], list[Item]]:
        """As `labelled` and `unlabelled`, by id alone: no file is named, so that a remote one is not fetched."""
        store = self.own(datastore)
        ids = store.get_labeled_images(), self._unlabelled(store)
        labelled, unlabelled = ([Item(image, Path()) for image in sorted(images)] for images in ids)
        return labelled, unlabelled

    def _unlabelled(self, datastore: Datastore) -> set[str]:
        return set(datastore.get_unlabeled_images()) - self.state.ledger.skipped()

    def _items(self, datastore: Datastore, ids: list[str], *, labelled: bool) -> list[Item]:
        patients = self.patients(ids, datastore)
        items = []
        for image in ids:
            try:
                readers = self.settings.reader_tags if labelled else ()
                items.append(_item(datastore, image, patients[image], readers, labelled=labelled))
            except HTTPException as error:  # a remote image or label that cannot be had
                logger.warning("Leaving out image %s: %s", image, error.detail)
        return items


def _files(studies: str) -> Iterator[Path]:
    """The images of a studies folder; none of a remote study."""
    yield from images_by_id(Path(studies)).values() if "://" not in studies else ()


@runtime_checkable
class _HoldsStudies(Protocol):
    """A datastore of several models."""

    def of_model(self, name: str) -> Datastore:
        """That of one."""


@runtime_checkable
class _KeepsIds(Protocol):
    """A datastore that keeps which images are labelled; None where that is for others to say."""

    pool_index: PoolIndex | None


@runtime_checkable
class _KnowsPatients(Protocol):
    """A datastore that knows whose image it is, where there is no manifest."""

    def patients(self, image_ids: list[str]) -> dict[str, str]:
        """Patient by image id, of those that are known."""


def _item(datastore: Datastore, image: str, patient: str, readers: Sequence[str], *, labelled: bool) -> Item:
    def file(tag: str) -> Path:
        return Path(datastore.get_label_uri(datastore.get_label_by_image_id(image, tag), tag))

    drawn_by = [reader for reader in readers if datastore.get_label_by_image_id(image, reader)]
    return Item(
        image,
        Path(datastore.get_image_uri(image)),
        file(DefaultLabelTag.FINAL) if labelled else None,
        patient,
        tuple((reader, file(reader)) for reader in drawn_by),
    )
