"""Which file an inference reads, and where its mask may be stored."""

import os
from collections.abc import Mapping
from typing import Any, Final

from monailabel.interfaces.datastore import Datastore, DefaultLabelTag

from lib.configs import not_found, refusal
from lib.datastores.label_guard import MADE_BY
from sequal.errors import ImageError, LabelError

__all__ = ["SENT_FILE", "check_owner", "check_storable", "image_file"]

#: Request key under which the app itself names a file that was sent along. No client can send it.
SENT_FILE: Final = "sent_file"


def image_file(request: Mapping[str, Any], store: Datastore) -> str:
    """The file of a request: the one that was sent along, or that of an image of the study.

    A request names an image by its id alone. A path is the id of no image, whether there is a file or not.

    Raises:
        HTTPException: 404 for an image that the study does not have.
    """
    sent = request.get(SENT_FILE)
    if sent:
        return str(sent)
    image = request.get("image")
    file = store.get_image_uri(image) if isinstance(image, str) and image else ""
    if not file or not os.path.isfile(file):
        raise not_found("image", image)
    return str(file)


def check_owner(task: str, image: str, model: str, owner: str | None) -> None:
    """Refuse to segment an image of another model.

    Args:
        task: what is asked.
        image: an image of the server.
        model: whose task it is.
        owner: whose image it is; None where the server has one model.

    Raises:
        HTTPException: 400, with the model that the image is of.
    """
    if owner not in (None, model):
        raise refusal(
            ImageError(
                f"Expected an image of the model `{model}` for `{task}`, got {image!r}, which is one of `{owner}`. Ask "
                f"`{owner}` for it."
            )
        )


def check_storable(store: Datastore, image: str, tag: str) -> None:
    """Refuse to store a model's mask where an expert's label belongs.

    Raises:
        HTTPException: 400 for the tag of submitted labels, and for a tag under which the image has a label that no
            model made.
    """
    taken = bool(store.get_label_uri(image, tag)) and MADE_BY not in store.get_label_info(image, tag)
    if tag.lower() != DefaultLabelTag.FINAL.value and not taken:
        return
    cure = "Name another one." if tag == DefaultLabelTag.ORIGINAL else "Leave it out: the mask is then 'original'."
    raise refusal(
        LabelError(f"Expected `label_tag` of a model's mask to be one without an expert's label, got {tag!r}. {cure}")
    )
