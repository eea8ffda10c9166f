"""A study in a PACS as the commands see it: what the PACS lists, and what the server's state knows of it."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from dicomweb_client import DICOMwebClient

from sequal.anatomy.models import MODELS
from sequal.files.dicom.connection import pacs_client
from sequal.files.dicom.series_list import ListedSeries, list_series, search_filter, series_names
from sequal.settings import Settings
from sequal.study.folder import FINAL_LABELS, StudyFiles, images_by_id
from sequal.study.label_notes import withdrawn_segmentations

__all__ = ["PacsStudy"]

#: Where the server keeps what it knows of a PACS, in the study's state.
_KEPT = "dicomweb"


@dataclass(frozen=True)
class PacsStudy:
    """The series of a PACS that are images of a model.

    Attributes:
        client: of the PACS.
        series: by UID, those left out that the server found to be no image.
        names: what people call each.
        folder: where the server keeps what it knows of the PACS; need not exist.
    """

    client: DICOMwebClient
    series: Mapping[str, ListedSeries]
    names: Mapping[str, str]
    folder: Path

    @classmethod
    def find(cls, address: str, state: Path, model: str = Settings.models) -> Self:
        """Ask a PACS for the images of a model; nothing is changed, there or in the state.

        Args:
            address: root of its DICOMweb service.
            state: the study's state folder; need not exist.
            model: its name.

        Raises:
            PacsError: the PACS does not answer.
            SettingsError: the address is none, or holds a password, or as `search_filter`.
        """
        modalities = MODELS[model].modalities
        client, folder = pacs_client(address, "STUDIES"), state / _KEPT
        unusable = {path.stem for path in (folder / "unusable").glob("*.json")}
        listed = list_series(client, search_filter(model, modalities))
        found = [series for series in listed if series.modality in modalities and series.uid not in unusable]
        return cls(client, {series.uid: series for series in found}, series_names(found), folder)

    def files(self) -> StudyFiles:
        """Images and labels as of a studies folder: labels that were submitted, and segmentations of the PACS.

        A segmentation counts after a server of this state has looked at it.
        """
        images = {uid: self.folder / f"{uid}.nii.gz" for uid in self.series}
        submitted = images_by_id(self.folder / FINAL_LABELS)
        images |= {uid: self.folder / f"{uid}.nii.gz" for uid in submitted}
        from_pacs = {
            str(note["image"]): self.folder / "segmentations" / f"{note['uid']}.nii.gz"
            for note in self._segmentations()
            if note["image"] in images
        }
        return StudyFiles(self.folder, images, from_pacs | submitted)

    def without_layer(self) -> set[str]:
        """Images whose segmentation in the PACS says that they show no layer."""
        return {str(note["image"]) for note in self._segmentations() if note.get("no_layer")}

    def patients(self) -> dict[str, str]:
        """Patient by image, as the server's pseudonyms; an image that it has not listed is its own patient."""
        known: Any = _read(self.folder / "listing.json").get("patients", {})
        return {uid: str(known.get(uid, uid)) for uid in self.files().images}

    def _segmentations(self) -> Sequence[Mapping[str, Any]]:
        withdrawn = withdrawn_segmentations(self.folder)
        notes = [_read(path) for path in sorted((self.folder / "segmentations").glob("*.json"))]
        return [
            note
            for note in sorted(notes, key=lambda note: float(note.get("created", 0)))
            if note.get("image") and not note.get("unusable") and note.get("uid") not in withdrawn
        ]


def _read(path: Path) -> dict[str, Any]:
    """A JSON object of the state; empty where it is not there or cannot be read: the server writes it anew."""
    try:
        content = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}
