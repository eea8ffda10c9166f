"""A PACS as a MONAI Label datastore: series are images; its segmentations and what was submitted here are labels."""

import logging
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from fastapi import HTTPException
from monailabel.datastore.local import LocalDatastore
from monailabel.interfaces.datastore import DefaultLabelTag

from lib.configs import not_found, refusal
from lib.datastores.archive import ImageArchive
from lib.datastores.label_guard import NO_LAYER, LabelGuard
from lib.datastores.outbox import Outbox
from lib.datastores.outgoing import STATION, outgoing_segmentation, station_name
from lib.datastores.pacs_images import IMAGE_SUFFIX, PacsImages
from lib.datastores.segmentations import PacsLabel, PacsLabels
from sequal.errors import SequalError
from sequal.study.state import StudyState

__all__ = ["DicomWebStudy"]

logger = logging.getLogger(__name__)

_FINAL: Final = DefaultLabelTag.FINAL
#: What is noted about a submitted label: when it was, and the segmentation series as which the PACS has it.
_CREATED, _SENT_AS = "created", "segmentation"
#: What is noted about an image: segmentations that no longer count, because the label was taken out of the study.
_WITHDRAWN: Final = "withdrawn"


class DicomWebStudy(PacsImages):
    """A study in a PACS, worked on in a folder of its own.

    It is a `StudyFolder`, so that a label passes the same guard, is kept as safely and is found as fast. Different
    from MONAI Label's own `DICOMWebDatastore`:

    - A submitted label is kept here first and sent as a DICOM segmentation then; while the PACS does not take it, it
      counts as it is and is sent again.
    - Segmentations of others are read from copies of their own and never replace a submitted label's file. Of several
      labels of an image the newest counts, once. One that cannot be read is left out and named.
    - While the PACS is down, what it said and sent before is worked with.
    - Nothing is cached by time: a labelled image is labelled at once.

    Args:
        archive: the PACS.
        search_filter: of the images.
        state: of the study; what comes from the PACS, and the labels, are kept there in the folder `dicomweb`.
        guard: checks labels.
    """

    def __init__(
        self, archive: ImageArchive, search_filter: Mapping[str, Any], state: StudyState, guard: LabelGuard
    ) -> None:
        super().__init__(archive, search_filter, state, guard)
        self._station, self._began = station_name(state.salt), time.time()
        self._pacs_labels = PacsLabels(archive, self._folder / "segmentations", guard.model)
        self._outbox = Outbox(self._waiting, self._send)
        if self._writes:
            self._outbox.start()

    # Images

    def list_images(self) -> list[str]:
        """Every usable image, and those with a submitted label that the PACS no longer lists; sorted."""
        usable = self._images.usable(self._lister.last().images.values())
        return sorted(usable | {image for image in self._submitted() if self._images.has(image)})

    def get_labeled_images(self, label_tag: str | None = None, labels: list[str] | None = None) -> list[str]:
        """Images with a final label, each once, sorted."""
        labelled = set(self._submitted()) | set(self._from_pacs())
        return [image for image in self.list_images() if image in labelled]

    def get_unlabeled_images(self, label_tag: str | None = None, labels: list[str] | None = None) -> list[str]:
        """Images without a final label, sorted."""
        labelled = set(self.get_labeled_images())
        return [image for image in self.list_images() if image not in labelled]

    # Labels

    def get_labels_by_image_id(self, image_id: str) -> dict[str, str]:
        """Label id by tag."""
        tags: dict[str, str] = LocalDatastore.get_labels_by_image_id(self, image_id)
        return tags | ({_FINAL.value: image_id} if image_id in self._from_pacs() else {})

    def get_label_uri(self, label_id: str, label_tag: str, image_id: str = "") -> str:
        """The label's file; empty when there is none. A label's id is its image's.

        Raises:
            HTTPException: 400 when the only final label is a segmentation that does not fit its image; 503 when the
                image is not here and the PACS does not answer.
        """
        try:
            newest = self._newest(label_id) if label_tag == _FINAL else None
            if newest is not None:
                image = Path(self._fetch(label_id))
                return str(self._pacs_labels.file(newest, image, self._instances(label_id)))
        except SequalError as error:
            if self._submitted_file(label_id) is None:
                raise refusal(error) from error
            logger.warning("The submitted label of %s is used. %s", label_id, error)
        return str(LocalDatastore.get_label_uri(self, label_id, label_tag))

    def get_label_info(self, label_id: str, label_tag: str) -> dict[str, Any]:
        """What is noted about a label."""
        newest = self._newest(label_id) if label_tag == _FINAL else None
        if newest is not None:
            said = {NO_LAYER: True} if newest.no_layer else {}
            return {"ts": int(newest.created), "name": f"{newest.uid}{IMAGE_SUFFIX}", _SENT_AS: newest.uid, **said}
        info: dict[str, Any] = LocalDatastore.get_label_info(self, label_id, label_tag)
        return info

    def save_label(
        self,
        image_id: str,
        label_filename: str,
        label_tag: str,
        label_info: dict[str, Any],
        label_id: str = "",
        *,
        viewed: bool = False,
    ) -> str:
        """Store a label; a `final` one only after it passed the guard, and send it to the PACS.

        When the PACS does not take it, the label counts all the same and is sent again; `delivery` tells.

        Raises:
            HTTPException: as `StudyFolder.save_label`; 503 when the image was never fetched and the PACS is down, the
                label is then in `rejected/`.
        """
        try:
            if not self._fetch(image_id):
                raise not_found("image", image_id)
        except SequalError as error:
            self._guard.keep_rejected(image_id, Path(label_filename), str(error))
            raise refusal(error) from error
        self._note(image_id)
        told = {key: value for key, value in (label_info or {}).items() if key not in (_CREATED, _SENT_AS)}
        saved = super().save_label(image_id, label_filename, label_tag, told, viewed=viewed)
        if label_tag == _FINAL:
            self._outbox.deliver(image_id)
        return saved

    def remove_label(self, label_id: str, label_tag: str) -> None:
        """Take a label out of the study; a submitted one is kept in `replaced/`, the PACS keeps its segmentations."""
        if label_tag != _FINAL:
            super().remove_label(label_id, label_tag)
            return
        submitted = self._submitted_file(label_id)
        self._from_pacs()  # so that every segmentation of now is known
        with self._exclusive():
            if submitted is not None:
                self._guard.keep_replaced(label_id, submitted)
                submitted.unlink(missing_ok=True)
            entry = self._note(label_id)
            entry.labels.pop(_FINAL.value, None)
            gone = {*entry.image.info.get(_WITHDRAWN, ()), *self._pacs_labels.all_of(label_id)}
            entry.image.info[_WITHDRAWN] = sorted(gone)
            self._write_notes_if_possible([label_id])

    def delivery(self, image_id: str) -> dict[str, Any]:
        """Whether the PACS has the submitted label of an image.

        Returns:
            `{"pacs": "stored"}`, `{"pacs": "waiting", "reason": …}`, or `{"pacs": "kept here", "reason": …}` for a
            label that cannot be sent, now or later; empty for an image without one.
        """
        if self._submitted_file(image_id) is None:
            return {}
        if image_id not in self._waiting():
            return {"pacs": "stored"}
        state = "kept here" if self._outbox.is_given_up(image_id) else "waiting"
        return {"pacs": state, "reason": self._outbox.reason(image_id)}

    def warnings(self) -> list[str]:
        """What is not well: another server with a state of its own sends labels to this PACS since this one began."""
        other = self._other()
        if other is None:
            return []
        return [
            f"A server with a state of its own works on this PACS too ({other.station}, last label of image "
            f"{other.image}). No label is lost, and the newest of an image counts, but the two know nothing of each "
            "other's frames and rounds: give both the same `--conf state` and `--conf ledger`, or stop one and start "
            "the other again."
        ]

    def refused(self) -> str:
        """Why no frame is asked for and nothing is trained: of two servers with two states, the other was here first.

        Returns:
            Empty while this server is alone, or its state is the one that sent the first label.
        """
        other = self._other()
        if other is None:
            return ""
        ours, theirs = self._pacs_labels.first(self._station), self._pacs_labels.first(other.station)
        return self.warnings()[0] if ours is None or theirs is None or theirs < ours else ""

    def _other(self) -> PacsLabel | None:
        """The newest label of this study's images that a server with another state made since this one began."""
        made = [label for label in self._pacs_labels.since(self._began) if label.station.startswith(STATION)]
        images = self._lister.last().patients
        others = [label for label in made if label.station != self._station and label.image in images]
        return others[-1] if others else None

    def datalist(self, full_path: bool = True) -> list[dict[str, Any]]:
        """Image and label file of every labelled image; one that cannot be read is left out and named in the log."""
        pairs = []
        for image in self.get_labeled_images():
            try:
                pairs.append({"image": self.get_image_uri(image), "label": self.get_label_uri(image, _FINAL)})
            except HTTPException as error:
                logger.warning("Leaving out label %s: %s", image, error.detail)
        if full_path:
            return pairs
        root = f"{self._datastore_path.rstrip('/')}/"
        return [{key: path.removeprefix(root) for key, path in pair.items()} for pair in pairs]

    def json(self) -> Any:  # noqa: ANN401 - as MONAI Label has it
        """Everything that is noted, of every image of the study; a label that only the PACS has is among it."""
        images = self.list_images()
        for image in images:
            self._note(image)
        noted = super().json()
        noted["objects"] = {image: noted["objects"][image] for image in images}
        for image in set(self._from_pacs()) & set(images):
            label = {"ext": IMAGE_SUFFIX, "info": self.get_label_info(image, _FINAL)}
            noted["objects"][image]["labels"][_FINAL.value] = label
        return noted

    def status(self) -> dict[str, Any]:
        """Images in all, labelled images, and labels by tag."""
        total, completed = len(self.list_images()), len(self.get_labeled_images())
        tags = super().status()["label_tags"] | ({_FINAL.value: completed} if completed else {})
        return {"total": total, "completed": completed, "label_tags": tags}

    # What lies beneath

    def _submitted(self) -> list[str]:
        with self._turn:
            return [image for image, entry in self._datastore.objects.items() if _FINAL in entry.labels]

    def _submitted_file(self, image_id: str) -> Path | None:
        path = LocalDatastore.get_label_uri(self, image_id, _FINAL)
        return Path(path) if path and Path(path).exists() else None

    def _from_pacs(self) -> dict[str, PacsLabel]:
        """The newest segmentation that counts, by image."""
        newest = {}
        for image, labels in self._pacs_labels.of_images(self._lister.last()).items():
            entry = self._datastore.objects.get(image)
            withdrawn = entry.image.info.get(_WITHDRAWN, ()) if entry else ()
            counting = [label for label in labels if label.uid not in withdrawn]
            if counting:
                newest[image] = counting[-1]
        return newest

    def _newest(self, image_id: str) -> PacsLabel | None:
        """The segmentation that counts for an image; None when a submitted label does."""
        found = self._from_pacs().get(image_id)
        entry = self._datastore.objects.get(image_id)
        submitted = entry.labels.get(_FINAL) if entry else None
        if found is None or submitted is None:
            return found
        ours = submitted.info.get(_SENT_AS)
        # Of two in one second that with the greater UID counts, at every server.
        others = ours is not None and found.uid != ours
        return found if others and (found.created, found.uid) > (submitted.info.get(_CREATED, 0), ours) else None

    def _store(self, image_id: str, label: Path, tag: str, info: dict[str, Any]) -> str:
        if tag != _FINAL:
            return super()._store(image_id, label, tag, info)
        newest = self._from_pacs().get(image_id)  # not below the lock: a slow PACS would stop everybody
        with self._exclusive():
            # Later than every label before, even within one second or after a clock that was wrong.
            before = self._note(image_id).labels.get(_FINAL)
            known = [int(before.info.get(_CREATED, 0)) if before else 0, int(newest.created) if newest else 0]
            return super()._store(image_id, label, tag, info | {_CREATED: max(int(time.time()), 1 + max(known))})

    def _waiting(self) -> list[str]:
        with self._turn:
            labels = {image: entry.labels.get(_FINAL) for image, entry in self._datastore.objects.items()}
            waiting = {image: label for image, label in labels.items() if label and _SENT_AS not in label.info}
        return sorted(waiting, key=lambda image: (waiting[image].info.get(_CREATED, 0), image))

    def _send(self, image_id: str) -> None:
        with self._turn:
            # A label that is submitted meanwhile gets an entry of its own, which then waits.
            label = self._note(image_id).labels[_FINAL]
            created = int(label.info.setdefault(_CREATED, int(label.info.get("ts", time.time()))))
            file = Path(LocalDatastore.get_label_uri(self, image_id, _FINAL))
        image = Path(self._fetch(image_id))
        model = self._guard.model
        segmentation = outgoing_segmentation(model, image, file, self._instances(image_id), created, self._station)
        self._archive.store(segmentation)
        with self._exclusive():
            label.info[_SENT_AS] = str(segmentation.SeriesInstanceUID)
            self._write_notes_if_possible([image_id])
