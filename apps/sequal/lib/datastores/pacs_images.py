"""The images of a PACS in a datastore of MONAI Label: fetched when they are needed, kept in the study's state."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from monailabel.datastore.dicom import DICOMWebDatastore
from monailabel.datastore.local import DataModel, ImageLabelModel, LocalDatastore
from monailabel.interfaces.datastore import DefaultLabelTag

from lib.configs import refusal
from lib.datastores.archive import ImageArchive, Series
from lib.datastores.label_guard import LabelGuard
from lib.datastores.listing import Lister
from lib.datastores.local import StudyFolder
from lib.datastores.series_cache import SeriesCache
from sequal.errors import ImageError, PacsError, SequalError
from sequal.study.state import StudyState

__all__ = ["IMAGE_SUFFIX", "PacsImages"]

#: Of every image and label of a PACS in its folder.
IMAGE_SUFFIX: Final = ".nii.gz"
_UID: Final = re.compile(r"[0-9]+(\.[0-9]+)+")
_LONGEST_UID: Final = 64  # DICOM PS3.5, 9.1


class PacsImages(StudyFolder, DICOMWebDatastore):
    """A `StudyFolder` whose images come from a PACS.

    MONAI Label's `DICOMWebDatastore` is its base by name alone, since endpoints ask for it: nothing of it is used but
    its name for the study, the address.

    Args:
        archive: the PACS.
        search_filter: of the images.
        state: of the study; what comes from the PACS, and the labels, are kept there in the folder `dicomweb`.
        guard: checks labels.
    """

    def __init__(
        self, archive: ImageArchive, search_filter: Mapping[str, Any], state: StudyState, guard: LabelGuard
    ) -> None:
        self._folder = state.root / "dicomweb"
        self._folder.mkdir(parents=True, exist_ok=True)
        self._client = archive.client
        self._archive = archive
        self._images = SeriesCache(archive, self._folder, guard.model)
        super().__init__(str(self._folder), guard, auto_reload=False)
        listing = self._folder / "listing.json"
        self._lister = Lister(
            archive, dict(search_filter), state.salt, listing, writes=self._writes, modalities=self.modalities
        )

    @property
    def pool_index(self) -> None:
        """The PACS says which images there are."""
        return None

    def get_image_uri(self, image_id: str) -> str:
        """The image's file, fetched from the PACS if it is not here; empty for an image that the PACS does not have.

        Raises:
            HTTPException: 503 when the PACS does not answer, 400 when the series is no image that the model reads.
        """
        try:
            return self._fetch(image_id)
        except SequalError as error:
            raise refusal(error) from error

    def get_image_info(self, image_id: str) -> dict[str, Any]:
        """What is noted about an image, with what viewers need to open it."""
        info: dict[str, Any] = LocalDatastore.get_image_info(self, image_id)
        if not self._images.has(image_id):
            info.pop("path", None)
        series = self._lister.last().images.get(image_id)
        return info | (_shown(series) if series else {})

    def image_notes(self, image_id: str) -> Mapping[str, Any]:
        """As for a folder, with what viewers need to open the image."""
        series = self._lister.last().images.get(image_id)
        return {**super().image_notes(image_id), **(_shown(series) if series else {})}

    def noted(self) -> set[str]:
        """Every image that the PACS lists, or listed once."""
        return set(self._lister.last().patients)

    def noted_at(self, image: str) -> float | None:
        """0 for an image that the PACS lists or listed once, or that was fetched; None for any other.

        No image is one of two models, since no two have a modality in common.
        """
        known = image in self._lister.last().patients or (_is_uid(image) and self._images.has(image))
        return 0.0 if known else None

    @property
    def modalities(self) -> Sequence[str]:
        """Of the model's images."""
        return self._guard.model.modalities

    def modality_in_pacs(self, image: str) -> str | None:
        """What the PACS says of a series inside or outside of the search filter; None if it has none, or is down."""
        try:
            series = self._archive.find(image) if _is_uid(image) else None
        except PacsError:
            return None
        return None if series is None else series.modality

    def update_image_info(self, image_id: str, info: dict[str, Any]) -> None:
        """Add to what is noted about an image."""
        self._note(image_id)
        super().update_image_info(image_id, info)

    def add_image(
        self, image_id: str, image_filename: str, image_info: dict[str, Any], *, overwrite: bool = False
    ) -> str:
        """Refused: images come from the PACS.

        Raises:
            HTTPException: 400, always.
        """
        raise refusal(_sent_to_the_pacs())

    def remove_image(self, image_id: str) -> None:
        """Refused: the PACS keeps its images.

        Raises:
            HTTPException: 400, always.
        """
        raise refusal(_sent_to_the_pacs())

    def patients(self, image_ids: list[str]) -> dict[str, str]:
        """Pseudonym of the patient by image id, of those that the PACS listed once."""
        known = self._lister.last().patients
        return {image: known[image] for image in image_ids if image in known}

    def left_out(self) -> list[str]:
        """Why series of the PACS are no images, in a sentence; empty where none was found to be none."""
        reasons = list(self._images.reasons(self._lister.last().images.values()).values())
        if not reasons:
            return []
        more = f" So it is with {len(reasons) - 1} more series; the log names each." if len(reasons) > 1 else ""
        return [f"A series of the PACS is left out. {reasons[0]}{more}"]

    def check_answers(self) -> None:
        """Make sure that the PACS answers.

        Raises:
            HTTPException: 503 when it does not.
        """
        try:
            self._lister.now()
        except SequalError as error:
            raise refusal(error) from error

    def _fetch(self, image_id: str) -> str:
        if not _is_uid(image_id):
            return ""
        if not self._images.has(image_id):
            series = self._lister.last().images.get(image_id) or self._archive.find(image_id)
            if series is None:
                return ""
            self._images.fetch(series)
        return str(self._images.file(image_id))

    def _instances(self, image_id: str) -> Path:
        """Folder of an image's DICOM instances, fetched again when it was removed."""
        if not self._images.instances(image_id).is_dir():
            series = self._archive.find(image_id)
            if series is None:
                raise ImageError(f"Expected the PACS to have series {image_id}, got none. Send it there again.")
            self._images.fetch_instances(series)
        return self._images.instances(image_id)

    def _note(self, image_id: str) -> ImageLabelModel:
        """The entry of an image in the list of this folder."""
        with self._turn:
            return self._datastore.objects.setdefault(
                image_id, ImageLabelModel(image=DataModel(info={"name": image_id + IMAGE_SUFFIX}, ext=IMAGE_SUFFIX))
            )

    def _suffixes(self, tag: str) -> dict[str, str]:
        found = super()._suffixes(tag)
        if tag:
            return found
        # An image that was not fetched, or whose file was removed to save space, is an image; its label stays known.
        labels = super()._suffixes(DefaultLabelTag.FINAL.value)
        return {image: IMAGE_SUFFIX for image in {*found, *labels, *self._datastore.objects}}


def _is_uid(name: str) -> bool:
    return _UID.fullmatch(name) is not None and len(name) <= _LONGEST_UID


def _shown(series: Series) -> dict[str, str]:
    """What OHIF shows of the next sample, and opens it by."""
    return {
        "SeriesInstanceUID": series.uid,
        "StudyInstanceUID": series.study,
        "Modality": series.modality,
        "StudyDate": series.date or "UNK",
        "StudyTime": series.time or "UNK",
        "PatientID": series.patient_id or "UNK",
        **({"StudyDescription": series.description} if series.description else {}),
    }


def _sent_to_the_pacs() -> ImageError:
    return ImageError(
        "Expected images of this study to be added and removed in its PACS, got a request to the app. "
        "Send them with DICOMweb, for example with `cli.py to-dicom STUDY --stow URL`."
    )
