"""The labels of an image that `to-dicom` exports: the annotator's, and what training made of it."""

from collections.abc import Mapping
from pathlib import Path

from sequal.anatomy.model import Model
from sequal.anatomy.models import model_of
from sequal.commands.place import StudyPlace
from sequal.errors import LabelError
from sequal.files.dicom import OutgoingLabel, final_label
from sequal.files.imaging import Frame
from sequal.study.state import RefinedStore, file_digest

__all__ = ["outgoing_labels"]


def outgoing_labels(
    place: StudyPlace, image: str, frame: Frame, *, refined: bool
) -> tuple[list[OutgoingLabel], str | None]:
    """The annotator's label of an image and, if asked for, its refined one.

    A refined label counts only for the very file that it was made from. Nothing is changed, neither in the studies
    folder nor in the state.

    Args:
        place: the study.
        image: image id.
        frame: the image.
        refined: also look for the refined label.

    Returns:
        None, one or two labels, and the reason when the annotator's cannot be used.
    """
    path, model = place.files.labels.get(image), model_of(place.settings)
    if path is None:
        return [], None
    try:
        labels = [_final(model, path, frame)]
    except LabelError as error:
        return [], str(error)
    if refined:
        labels += _refined(place, image, frame, file_digest(path), _structures(model))
    return labels, None


def _final(model: Model, path: Path, frame: Frame) -> OutgoingLabel:
    structures = _structures(model)
    if structures is None:
        return final_label(path, frame)
    values = model.label_on(path, frame.grid, frame.layout, frame.affine)
    return OutgoingLabel("final", values, path.stat().st_mtime, structures=structures)


def _structures(model: Model) -> Mapping[str, int] | None:
    """What an outgoing label says of its structures: nothing of a layer."""
    return None if model.is_layer else model.labels


def _refined(
    place: StudyPlace, image: str, frame: Frame, digest: str, structures: Mapping[str, int] | None
) -> list[OutgoingLabel]:
    folder = place.state / "refined"
    if not folder.is_dir():  # the store would make it
        return []
    store = RefinedStore(folder)
    provenance = store.provenance(image)
    # The store deletes a stale label when asked for it, which is for the server to do.
    if provenance is None or provenance.label_digest != digest:
        return []
    values = store.get(image, digest)
    if values is None or values.shape != frame.grid:
        return []
    return [OutgoingLabel("refined", values, provenance.created_at, provenance, structures)]
