"""Endpoints by which images, labels and what is noted about them come into the study, and go."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PureWindowsPath
from typing import Annotated, Any

from fastapi import Depends, File, Form, Request, UploadFile
from monailabel.endpoints.user.auth import RBAC, User
from monailabel.interfaces.app import MONAILabelApp
from monailabel.interfaces.datastore import DefaultLabelTag

from lib.datastores import JoinedStudies
from lib.endpoints.answering import ADMIN, ANNOTATOR, Endpoint, json_object, reasons
from lib.endpoints.received import received, received_label
from lib.web.dicomweb import is_viewed
from sequal.errors import SettingsError
from sequal.files.imaging import image_stem, image_suffix

__all__ = ["submission_endpoints"]

_User = Annotated[User, Depends(RBAC(ANNOTATOR))]


def submission_endpoints(app: MONAILabelApp) -> list[Endpoint]:
    """What changes the study. Whatever is sent lies in a folder of its own until the answer, and no longer.

    Args:
        app: what has the datastore.
    """

    def put_label(
        request: Request,
        image: str,
        label: Annotated[UploadFile, File()],
        user: _User,
        params: Annotated[str, Form()] = "{}",
        tag: str = DefaultLabelTag.FINAL.value,
    ) -> dict[str, Any]:
        with reasons(), _folder() as folder:
            info = _noted(params, "`params`", user)
            file = received_label(label, folder)
            store: Any = app.datastore()
            seen = {"viewed": True} if is_viewed(request) else {}
            kept = store.save_label(image, str(file), tag or DefaultLabelTag.FINAL.value, info, **seen)
            return {**(app.on_save_label(image, kept) or {}), "image": image, "label": kept}

    def put_image(
        file: Annotated[UploadFile, File()],
        user: _User,
        image: str | None = None,
        params: Annotated[str, Form()] = "{}",
        overwrite: bool = False,
        model: str | None = None,
    ) -> dict[str, str]:
        with reasons(), _folder() as folder:
            info = _noted(params, "`params`", user)
            name = PureWindowsPath(file.filename or "").name  # of either kind of path
            sent = received(file, folder, "image", image_suffix(name) or Path(name).suffix[:16] or None)
            store: Any = app.datastore()
            whose = {"model": model} if isinstance(store, JoinedStudies) else {}
            if model is not None and not whose:
                raise SettingsError(
                    f"Expected no `model` with an image for a server of one model, got {model[:80]!r}. Leave it out."
                )
            return {"image": store.add_image(image or image_stem(name), str(sent), info, overwrite=overwrite, **whose)}

    def delete_image(id: str) -> dict[str, Any]:
        app.datastore().remove_image(id)
        return {}

    def delete_label(id: str, tag: str) -> dict[str, Any]:
        app.datastore().remove_label(id, tag)
        return {}

    def put_image_info(image: str, user: _User, info: Annotated[str, Form()] = "{}") -> None:
        with reasons():
            app.datastore().update_image_info(image, _noted(info, "`info`", user))

    def put_label_info(label: str, tag: str, user: _User, info: Annotated[str, Form()] = "{}") -> None:
        with reasons():
            app.datastore().update_label_info(label, tag, _noted(info, "`info`", user))

    def put_label_params(label: str, tag: str, user: _User, params: Annotated[str, Form()] = "{}") -> None:
        put_label_info(label, tag, user, params)

    images, put, delete = ("image", "overwrite", "model"), ("PUT",), ("DELETE",)
    return [
        Endpoint("/datastore/label", put_label, ANNOTATOR, ("image", "tag"), methods=put),
        Endpoint("/datastore/image", put_image, ANNOTATOR, images, methods=put),
        Endpoint("/datastore/", put_image, ANNOTATOR, images, methods=put),
        Endpoint("/datastore/image", delete_image, ADMIN, ("id",), methods=delete),
        Endpoint("/datastore/", delete_image, ADMIN, ("id",), methods=delete),
        Endpoint("/datastore/label", delete_label, ADMIN, ("id", "tag"), methods=delete),
        Endpoint("/datastore/image/info", put_image_info, ANNOTATOR, ("image",), methods=put),
        Endpoint("/datastore/label/info", put_label_info, ANNOTATOR, ("label", "tag"), methods=put),
        Endpoint("/datastore/updatelabelinfo", put_label_params, ANNOTATOR, ("label", "tag"), methods=put),
    ]


def _noted(text: str, name: str, user: User) -> dict[str, Any]:
    return {**json_object(text, name), **({"user": user.username} if user.username else {})}


@contextmanager
def _folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)
