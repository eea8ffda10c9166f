"""The studies of several models, folders or parts of a PACS, as one MONAI Label datastore."""

import json
import logging
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from itertools import combinations
from typing import Any, Final

from monailabel.interfaces.datastore import Datastore, DefaultLabelTag

from lib.configs import conflict, in_task_process, refusal
from lib.datastores.dataset_archive import dataset_archive
from lib.datastores.folder_watch import FolderWatch
from lib.datastores.local import StudyFolder
from lib.datastores.pacs_images import PacsImages
from sequal.errors import ImageError

__all__ = ["JoinedStudies"]

logger = logging.getLogger(__name__)

_FINAL: Final = DefaultLabelTag.FINAL
#: Images that are named in a warning.
_SHOWN: Final = 5


class JoinedStudies(Datastore):
    """Hands what concerns an image to the folder that has it; lists are those of all folders.

    An image that two folders have is that of the folder which has noted it longer, of the first where that is equal: a
    new file takes no image away from another model. The other one is left out, in its own folder as well, until one of
    the two is renamed. In a PACS the modality of a series says whose image it is.

    Args:
        folders: by the name of their model, folders or studies in one PACS; none of them watches itself.
        watched: look for new files while the server runs; of no use in a PACS.
    """

    def __init__(self, folders: Mapping[str, StudyFolder], *, watched: bool) -> None:
        self._folders = dict(folders)
        self._left_out: dict[str, str] = {}
        self._share_out()
        if watched and not in_task_process():
            FolderWatch(self).start()

    # Which folder

    def of_model(self, name: str) -> StudyFolder:
        """The folder of a model."""
        return self._folders[name]

    def model_of(self, image: str) -> str | None:
        """The model whose image it is; None for one that no folder has.

        A PACS is asked only for an image that no folder knows, since it may be slow to answer.
        """
        noted = {model: at for model, folder in self._folders.items() if (at := folder.noted_at(image)) is not None}
        return min(noted, key=noted.__getitem__) if noted else self._model_in_pacs(image)

    def _model_in_pacs(self, image: str) -> str | None:
        """The model of an image outside of the search filter, by its modality, which the PACS is asked for once."""
        folders = {model: folder for model, folder in self._folders.items() if isinstance(folder, PacsImages)}
        modality = next((folder.modality_in_pacs(image) for folder in folders.values()), None)
        return next((model for model, folder in folders.items() if modality in folder.modalities), None)

    def warnings(self) -> list[str]:
        """What has to be renamed, in sentences."""
        left_out = dict(self._left_out)
        told = [
            f"Two models have an image {image!r}: that in `{self.model_of(image)}/` is used, that in `{model}/` is "
            f"left out. Rename the file in `{model}/`, and its labels."
            for image, model in sorted(left_out.items())[:_SHOWN]
        ]
        more = len(left_out) - len(told)
        return [*told, *([f"So it is with {more} more images."] if more else [])]

    def _share_out(self) -> None:
        """Let each folder leave out what another one has noted for longer."""
        noted = {model: folder.noted() for model, folder in self._folders.items()}
        shared: set[str] = set().union(*(one & other for one, other in combinations(noted.values(), 2)))
        left_out: dict[str, str] = {}
        for model, folder in self._folders.items():
            others = {image for image in shared & noted[model] if self.model_of(image) != model}
            folder.leave_out(others)
            left_out |= dict.fromkeys(others, model)
        new = left_out.keys() - self._left_out.keys()
        self._left_out = left_out
        if new:
            logger.warning("%s", " ".join(self.warnings()))

    def _of(self, image: str) -> StudyFolder:
        """The folder of an image; the first for one that no folder has, which says so."""
        model = self.model_of(image)
        return next(iter(self._folders.values())) if model is None else self._folders[model]

    def _all(self, ask: Callable[[StudyFolder], Iterable[Any]]) -> list[Any]:
        return [found for folder in self._folders.values() for found in ask(folder)]

    # What is watched

    def look(self) -> None:
        """Find what other programs changed."""
        for folder in self._folders.values():
            folder.look()
        self._share_out()

    def quiet_s(self) -> float:
        """Seconds since something was noted that is not in a list yet; 0 where all is."""
        return max(folder.quiet_s() for folder in self._folders.values())

    def put_changes_into_list(self) -> None:
        """Write the lists that have changes beside them."""
        for folder in self._folders.values():
            if folder.quiet_s():
                folder.put_changes_into_list()

    def refresh(self) -> None:
        """Bring all lists up to date."""
        for folder in self._folders.values():
            folder.refresh()
        self._share_out()

    # One image

    def known_id(self, name: str) -> str:
        """The id that looks as a name does; the name itself where there is none."""
        found = (folder.known_id(name) for folder in self._folders.values())
        return next((image for image in found if image != name), name)

    def image_notes(self, image_id: str) -> Mapping[str, Any]:
        """What is noted about an image, not to be changed."""
        return self._of(image_id).image_notes(image_id)

    def has_label_file(self, image_id: str) -> bool:
        """Whether a final label of the image lies in its folder now."""
        return self._of(image_id).has_label_file(image_id)

    def get_labels_by_image_id(self, image_id: str) -> dict[str, str]:
        """Ids of the labels of an image, by tag."""
        return dict(self._of(image_id).get_labels_by_image_id(image_id))

    def get_label_by_image_id(self, image_id: str, tag: str) -> str:
        """Id of a label of an image; empty for none."""
        return str(self._of(image_id).get_label_by_image_id(image_id, tag))

    def get_image(self, image_id: str, params: Any = None) -> Any:  # noqa: ANN401 - as MONAI Label has it
        """An image as bytes."""
        return self._of(image_id).get_image(image_id, params)

    def get_image_uri(self, image_id: str) -> str:
        """The file of an image; empty for none."""
        return str(self._of(image_id).get_image_uri(image_id))

    def get_image_info(self, image_id: str) -> dict[str, Any]:
        """What is noted about an image."""
        return dict(self._of(image_id).get_image_info(image_id))

    def get_label(self, label_id: str, label_tag: str, params: Any = None) -> Any:  # noqa: ANN401
        """A label as bytes."""
        return self._of(label_id).get_label(label_id, label_tag, params)

    def get_label_uri(self, label_id: str, label_tag: str) -> str:
        """The file of a label; empty for none."""
        return str(self._of(label_id).get_label_uri(label_id, label_tag))

    def get_label_info(self, label_id: str, label_tag: str) -> dict[str, Any]:
        """What is noted about a label."""
        return dict(self._of(label_id).get_label_info(label_id, label_tag))

    def add_image(
        self,
        image_id: str,
        image_filename: str,
        image_info: dict[str, Any],
        *,
        overwrite: bool = False,
        model: str | None = None,
    ) -> str:
        """Copy an image into the study of a model.

        Args:
            image_id: as `StudyFolder.add_image` takes it, and so the others.
            image_filename: see there.
            image_info: see there.
            overwrite: see there.
            model: whose study; may be left out for an image that is there.

        Raises:
            HTTPException: 400 where it is not said whose image it is; 409 for an id that another model has, or that two
                have; or as `StudyFolder.add_image`.
        """
        image = self.known_id(image_id)
        owner = self.model_of(image)
        if owner is None and model not in self._folders:
            raise refusal(
                ImageError(
                    f"Expected `model` to say whose image it is ({' or '.join(self._folders)}), got "
                    f"{'none' if not model else repr(model[:80])}. Name one in the query."
                )
            )
        if owner is not None and (model not in (None, owner) or image in self._left_out):
            raise conflict(
                f"Expected `image` to be an id of one model alone, got {image!r}, which {owner} has. Choose another id."
            )
        return self._folders[owner or str(model)].add_image(image_id, image_filename, image_info, overwrite=overwrite)

    def remove_image(self, image_id: str) -> None:
        """Take an image and its labels out of its study."""
        self._of(image_id).remove_image(image_id)
        self._share_out()

    def save_label(
        self, image_id: str, label_filename: str, label_tag: str, label_info: dict[str, Any], *, viewed: bool = False
    ) -> str:
        """Store a label after it passed the guard of its image's model."""
        return self._of(image_id).save_label(image_id, label_filename, label_tag, label_info, viewed=viewed)

    def remove_label(self, label_id: str, label_tag: str) -> None:
        """Take a label out of its study."""
        self._of(label_id).remove_label(label_id, label_tag)

    def update_image_info(self, image_id: str, info: dict[str, Any]) -> None:
        """Add to what is noted about an image."""
        self._of(image_id).update_image_info(image_id, info)

    def update_label_info(self, label_id: str, label_tag: str, info: dict[str, Any]) -> None:
        """Add to what is noted about a label."""
        self._of(label_id).update_label_info(label_id, label_tag, info)

    # All images

    def name(self) -> str:
        """Of the first folder; all have one name."""
        return str(next(iter(self._folders.values())).name())

    def set_name(self, name: str) -> None:
        """Name all folders."""
        for folder in self._folders.values():
            folder.set_name(name)

    def description(self) -> str:
        """Of the first folder; all have one description."""
        return str(next(iter(self._folders.values())).description())

    def set_description(self, description: str) -> None:
        """Describe all folders."""
        for folder in self._folders.values():
            folder.set_description(description)

    def get_labeled_images(self, label_tag: str | None = None, labels: list[str] | None = None) -> list[str]:
        """Images with a final label, those of the first model first."""
        return self._all(lambda folder: folder.get_labeled_images())

    def get_unlabeled_images(self, label_tag: str | None = None, labels: list[str] | None = None) -> list[str]:
        """Images without a final label, those of the first model first."""
        return self._all(lambda folder: folder.get_unlabeled_images())

    def list_images(self) -> list[str]:
        """Every image, those of the first model first."""
        return self._all(lambda folder: folder.list_images())

    def datalist(self) -> list[dict[str, Any]]:
        """Image and label file of every labelled image."""
        return [
            {"image": self.get_image_uri(image), "label": self.get_label_uri(image, _FINAL)}
            for image in self.get_labeled_images()
        ]

    def get_dataset_archive(self, limit_cases: int | None) -> str:
        """Images, final labels and notes of all models as a temporary archive.

        Raises:
            HTTPException: 404 when no image has a label.
        """
        return dataset_archive(self.datalist(), limit_cases, json.dumps(self.json(), default=str))

    def status(self) -> dict[str, Any]:
        """Images in all, labelled images, and labels by tag."""
        known = [folder.status() for folder in self._folders.values()]
        tags = sum((Counter(one["label_tags"]) for one in known), Counter[str]())
        return {**{key: sum(one[key] for one in known) for key in ("total", "completed")}, "label_tags": dict(tags)}

    def json(self) -> dict[str, Any]:
        """Everything that is noted, of each image where it counts."""
        known = {model: folder.json() for model, folder in self._folders.items()}
        objects = {
            image: entry
            for model, noted in known.items()
            for image, entry in noted["objects"].items()
            if self.model_of(image) == model
        }
        return {**next(iter(known.values())), "objects": objects}
