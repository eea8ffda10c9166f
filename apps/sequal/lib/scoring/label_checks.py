"""After each submission: what the model in service predicted of the mask, and what the expert's label found."""

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from queue import SimpleQueue

import torch
from monailabel.interfaces.datastore import Datastore, DefaultLabelTag

from lib.configs import Study
from sequal.errors import CheckpointError
from sequal.files.imaging.claims import large_images_take_turns
from sequal.prediction import PREDICTED_DICE, check_label, check_serves, learnt_from, load_pair
from sequal.processor import step_back_thread
from sequal.study.items import Item
from sequal.study.state import StudyModels

__all__ = ["LabelChecks"]

logger = logging.getLogger(__name__)


class LabelChecks:
    """Checks submitted labels in a thread of its own: no annotator waits for it, and nothing that he did depends on it.

    A label whose image the model in service has learnt from says nothing of that model. Where it replaces one that was
    checked, it is checked with the same model as that one. If that model is not kept, or cannot make masks with
    the present settings, the former check is dropped.

    Args:
        study: its model in service and its ledger.
        datastore: gives images and labels.
    """

    def __init__(self, study: Study, datastore: Callable[[], Datastore]) -> None:
        self._study, self._datastore = study, datastore
        self._waiting: SimpleQueue[str] = SimpleQueue()
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()

    def put(self, image: str) -> None:
        """Check the label of an image soon; returns at once."""
        self._waiting.put(image)
        with self._lock:
            if self._thread is not None:
                return
            thread = threading.Thread(target=self._work, name="label-checks", daemon=True)
            try:
                thread.start()
            except RuntimeError as error:  # the system has no thread left; the next label tries again
                logger.warning("The mask of %s is not judged by its label yet: %s", image, error)
            else:
                self._thread = thread

    def _work(self) -> None:
        step_back_thread()
        torch.set_num_threads(1)  # of this thread
        while True:
            image = self._waiting.get()
            try:
                self.check(image)
            except Exception as error:  # whatever it is, the label is stored and the next one is waiting
                logger.warning("The mask of %s cannot be judged by its label: %s", image, error)

    def check(self, image: str) -> None:
        """Check the label of an image now, and keep the result in the ledger.

        Raises:
            SequalError: image, label, model or ledger cannot be used.
            HTTPException: the image or the label is no longer there.
        """
        study, store, tag = self._study, self._datastore(), DefaultLabelTag.FINAL
        if study.served.path is None:
            return
        ledger, kept = study.state.ledger, StudyModels(study.state, study.starting_weights).kept()
        serving = next((model.round for model in kept if model.in_service), None)
        former = next((one for one in ledger.checks() if one.image == image), None)
        if image not in learnt_from(ledger.rounds(), serving):
            loaded, checked_at = study.served.load(), time.time()
        elif former is None:
            return
        else:
            checked_at = former.checked_at  # trust tells the age of a model by the time of its checks
            try:
                judged = next(model.path for model in kept if model.digest == former.checkpoint_digest)
                loaded = load_pair(judged, study.device)
                check_serves(loaded, study.settings, judged.name)
            except (StopIteration, CheckpointError):
                ledger.forget_check(image)
                return
        label = store.get_label_uri(store.get_label_by_image_id(image, tag), tag)
        file = Path(store.get_image_uri(image))
        predicted = ledger.score_of(loaded.digest, PREDICTED_DICE, image)
        with large_images_take_turns(file):
            found = check_label(Item(image, file, Path(label)), loaded, study.settings, study.device, predicted)
        ledger.put_check(replace(found, checked_at=checked_at))
