"""The images of a studies folder for the app's own DICOMweb service."""

from monailabel.interfaces.datastore import DefaultLabelTag

from lib.configs import Study
from lib.datastores.local import StudyFolder

__all__ = ["ServedImages"]


class ServedImages:
    """What `lib.web.dicomweb` asks of a study, from what the datastore keeps in memory.

    Args:
        store: the studies folder.
        study: knows its patients.
    """

    def __init__(self, store: StudyFolder, study: Study) -> None:
        self._store, self._study = store, study

    @property
    def salt(self) -> str:
        """The study's own random text."""
        return self._study.state.salt

    def images(self) -> list[str]:
        """Ids of all images, sorted."""
        with self._store.index.lock:
            return sorted(self._store.index)

    def __contains__(self, image: object) -> bool:
        """Whether the study has an image of this id."""
        return image in self._store.index

    def patient(self, image: str) -> str:
        """Whose image it is.

        Raises:
            StudyError: `patients.csv` is malformed.
        """
        return self._study.patient_names(self._store.index)[image]

    def file(self, image: str) -> str:
        """The image's file; empty when it is gone."""
        return str(self._store.get_image_uri(image))

    def label_file(self, image: str) -> str:
        """The file of its submitted label; empty when there is none."""
        if image not in self._store.index.labelled:
            return ""
        return str(self._store.get_label_uri(image, DefaultLabelTag.FINAL))
