"""The labels of an image that `to-dicom` exports: the annotator's, and what training made of it."""

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
    path = place.files.labels.get(image)
    if path is None:
        return [], None
    try:
        labels = [final_label(path, frame)]
    except LabelError as error:
        return [], str(error)
    if refined:
        labels += _refined(place, image, frame, file_digest(path))
    return labels, None


def _refined(place: StudyPlace, image: str, frame: Frame, digest: str) -> list[OutgoingLabel]:
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
    return [OutgoingLabel("refined", values, provenance.created_at, provenance)]
