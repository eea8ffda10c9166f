"""What follows in the state of a study when a label was stored."""

import logging
import os
from pathlib import Path
from typing import Any

from monailabel.interfaces.datastore import Datastore, DefaultLabelTag

from lib.configs import Study
from lib.datastores.dicomweb import DicomWebStudy
from lib.datastores.label_guard import WARNINGS
from sequal.errors import SequalError
from sequal.study.state import file_digest, note_made_for

__all__ = ["accept_label"]

logger = logging.getLogger(__name__)


def accept_label(study: Study, store: Datastore, image: str, label: str) -> dict[str, Any]:
    """End the lease of an image, note what the label is of, and forget a refined label from an older version.

    Args:
        study: of the image.
        store: has the label.
        image: its id.
        label: that of the label.

    Returns:
        What the client is told beside the ids: `warnings` about the label, where there are any, and whether the PACS
        has the label, or why it waits.
    """
    warnings: list[str] = []
    try:
        _change_state(study, store, image, label)
    except (SequalError, OSError) as error:
        # The label is stored, and that is what the client has to know. The lease runs out by itself, and a refined
        # label of an older version is not used.
        logger.exception("The label of %s is stored; the state could not be changed with it", image)
        warnings.append(f"The label is stored. {error}")
    warnings += store.get_label_info(label, DefaultLabelTag.FINAL).get(WARNINGS) or []
    told = {WARNINGS: warnings} if warnings else {}
    return told | (store.delivery(image) if isinstance(store, DicomWebStudy) else {})


def _change_state(study: Study, store: Datastore, image: str, label: str) -> None:
    state = study.state
    state.ledger.release(image)
    note_made_for(state.root, study.settings)
    provenance = state.refined.provenance(image)
    if provenance is None:
        return
    file = store.get_label_uri(label, DefaultLabelTag.FINAL)
    if not file or not os.path.exists(file) or provenance.label_digest != file_digest(Path(file)):
        state.refined.drop(image)
        state.ledger.drop_refined(image)
        logger.info("The expert changed the label of %s: its refined label is dropped", image)
