"""`/sequal/frames`: the frames of a study with what became of each, and the lease of the one that is open."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Annotated, Any, Final, Literal

from fastapi import Depends, Query, params
from fastapi.routing import APIRoute
from monailabel.interfaces.datastore import Datastore, DefaultLabelTag

from lib.configs import Study, not_found, refusal
from lib.datastores.label_guard import NO_LAYER
from lib.web.routes.skipping import told
from sequal.errors import LabelError, SequalError
from sequal.study.state import ANONYMOUS, SkipRecord

__all__ = ["FRAMES_PATH", "FrameStates", "frame_list_routes"]

FRAMES_PATH: Final = "/sequal/frames"
LEASE_PATH: Final = "/sequal/lease"
NO_LAYER_PATH: Final = "/sequal/no-layer"
LABELS_PATH: Final = "/sequal/labels"
_MOST: Final = 500
_FINAL: Final = DefaultLabelTag.FINAL

Group = Literal["all", "open", "labelled", "skipped"]


class FrameStates:
    """What became of the frames of a study, as of one moment.

    Args:
        study: its ledger knows skips and leases.
        store: gives images and labels.
    """

    def __init__(self, study: Study, store: Datastore) -> None:
        self._store: Any = store
        ledger = study.state.ledger
        self.skips: Mapping[str, SkipRecord] = {skip.image: skip for skip in ledger.skips()}
        self.leased: Mapping[str, str] = ledger.leased()

    @cached_property
    def images(self) -> list[str]:
        """Every frame, in the order of the names that people know them by."""
        return sorted(
            self._store.list_images(), key=lambda image: (_name(image, self._store.image_notes(image)), image)
        )

    @cached_property
    def labelled(self) -> frozenset[str]:
        """Those with a submitted label."""
        return frozenset(self._store.get_labeled_images())

    def group(self, image: str) -> Group:
        """A label counts before a skip: it is used."""
        return "labelled" if image in self.labelled else "skipped" if image in self.skips else "open"

    def counts(self) -> dict[str, int]:
        """Number of frames by group."""
        skipped = sum(image not in self.labelled for image in self.skips)
        labelled = len(self.labelled)
        return {"open": len(self.images) - labelled - skipped, "labelled": labelled, "skipped": skipped}

    def of(self, image: str) -> dict[str, Any]:
        """One frame: `state` is `labelled`, `no wall`, `skipped` or `open`; who and why, where that is known."""
        name = _name(image, self._store.image_notes(image))
        row: dict[str, Any] = {"image": image, "name": name, "state": "open"}
        row |= {"open_with": self.leased[image]} if image in self.leased else {}
        label = self._store.get_label_by_image_id(image, _FINAL)
        if label:
            noted = self._store.get_label_info(label, _FINAL) or {}
            # Without a login, MONAI Label calls everybody by one name.
            by = str(noted.get("client_id") or noted.get("user") or "")
            state = "no wall" if noted.get(NO_LAYER) else "labelled"
            row |= {"state": state, "by": by, "why": str(noted.get("reason") or ""), "when": noted.get("ts")}
        elif image in self.skips:
            skip = self.skips[image]
            by = "" if skip.client == ANONYMOUS else skip.client
            row |= {"state": "skipped", "by": by, "why": skip.reason, "when": skip.skipped_at}
        return row


def frame_list_routes(
    study: Study,
    datastore: Callable[[], Datastore],
    of_study: Callable[[str], str | None] | None = None,
    read: Sequence[params.Depends] = (),
    annotate: Sequence[params.Depends] = (),
) -> list[APIRoute]:
    """The list, the lease of an open frame, the way back from "no wall", and what the labels come from.

    Args:
        study: its ledger keeps leases and skips.
        datastore: gives images and labels.
        of_study: the image of a StudyInstanceUID, where the app itself gives them; None: the datastore knows them.
        read: who may look.
        annotate: who may hold a frame, and take "no wall" back.
    """

    def listed(
        group: Group = "all",
        search: Annotated[str, Query(max_length=200)] = "",
        uid: Annotated[str, Query(max_length=64, alias="study")] = "",
        holder: Annotated[str, Query(max_length=128)] = "",
        offset: Annotated[int, Query(ge=0)] = 0,
        limit: Annotated[int, Query(ge=1, le=_MOST)] = 100,
    ) -> dict[str, Any]:
        store: Any = datastore()
        try:
            states = FrameStates(study, store)
            found = [image for image in states.images if group in ("all", states.group(image))]
            if holder:
                found = [image for image in found if states.leased.get(image) == holder]
            if uid and of_study is not None:
                wanted = of_study(uid)
                found = [image for image in found if image == wanted]
            elif uid:
                found = [image for image in found if store.image_notes(image).get("StudyInstanceUID") == uid]
            if search:
                found = [image for image in found if _matches(search.casefold(), image, store.image_notes(image))]
            rows = [states.of(image) for image in found[offset : offset + limit]]
        except SequalError as error:
            raise refusal(error) from error
        return {"study": _key(study), "counts": states.counts(), "found": len(found), "frames": rows}

    def hold(image: str, by: Annotated[dict[str, str], Depends(told)]) -> dict[str, Any]:
        if not datastore().get_image_uri(image):
            raise not_found("image", image)
        ledger, client = study.state.ledger, by["client_id"] or ANONYMOUS
        try:
            held = ledger.acquire_lease([image], client, study.settings.lease_minutes * 60.0) is not None
            others = {} if held else {"open_with": ledger.leased().get(image, "")}
        except SequalError as error:
            raise refusal(error) from error
        return {"image": image, "held": held, **others, "minutes": study.settings.lease_minutes}

    def take_back(image: str) -> dict[str, Any]:
        store = datastore()
        label = store.get_label_by_image_id(image, _FINAL)
        if not (store.get_label_info(label, _FINAL) or {}).get(NO_LAYER):
            raise refusal(
                LabelError(
                    f"Expected `image` to be one that was said to show no wall, got {image!r}. A drawn label is "
                    "replaced by saving another one."
                )
            )
        store.remove_label(label, _FINAL)  # a copy goes to `replaced/`
        return {"image": image, "state": "open"}

    def labels() -> dict[str, Any]:
        store = datastore()
        infos = [
            store.get_label_info(store.get_label_by_image_id(image, _FINAL), _FINAL) or {}
            for image in store.get_labeled_images()
        ]
        said = [info["edited"] for info in infos if isinstance(info.get("edited"), bool)]
        return {
            "labels": len(infos),
            "no_wall": sum(bool(info.get(NO_LAYER)) for info in infos),
            "unedited": said.count(False),
            "unknown": len(infos) - len(said),
        }

    def route(path: str, answer: Callable[..., Any], method: str, who: Sequence[params.Depends]) -> APIRoute:
        return APIRoute(path, answer, methods=[method], tags=["SEQUAL"], dependencies=list(who))

    return [
        route(FRAMES_PATH, listed, "GET", read),
        route(LEASE_PATH, hold, "POST", annotate),
        route(NO_LAYER_PATH, take_back, "DELETE", annotate),
        route(LABELS_PATH, labels, "GET", read),
    ]


def _key(study: Study) -> str:
    """What tells the studies apart that one browser has seen at one address."""
    return hashlib.sha256(str(study.state.root.resolve()).encode()).hexdigest()[:12]


def _name(image: str, notes: Mapping[str, Any]) -> str:
    """How people call an image: by patient and description where a PACS tells them, else by its id.

    >>> _name("2.25.7", {"PatientID": "p01", "StudyDescription": "left carotid"})
    'p01 left carotid'
    >>> _name("2.25.7", {"PatientID": "p01", "StudyDescription": "p01_f2"}), _name("p01_f2", {})
    ('p01_f2', 'p01_f2')
    """
    patient, description = (str(notes.get(key) or "") for key in ("PatientID", "StudyDescription"))
    patient = "" if patient == "UNK" or patient in description else patient
    return " ".join(filter(None, (patient, description))) or image


def _matches(search: str, image: str, notes: Mapping[str, Any]) -> bool:
    known = (image, notes.get("StudyDescription"), notes.get("PatientID"))
    return any(search in str(text).casefold() for text in known if text)
