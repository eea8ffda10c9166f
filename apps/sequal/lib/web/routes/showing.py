"""`/sequal/frame`, `/sequal/picture`, `/sequal/label`: one frame as the annotator's page shows it."""

import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any, Final

from cachetools import LRUCache
from fastapi import HTTPException, Query, Response, params, status
from fastapi.routing import APIRoute
from monailabel.interfaces.datastore import Datastore, DefaultLabelTag

from lib.configs import Study, not_found, refusal
from lib.web.annotator import frame_picture
from lib.web.routes.frames import FrameStates
from sequal.errors import SequalError
from sequal.files.imaging import Frame, clean_label, read_frame, read_label
from sequal.files.imaging.claims import large_images_take_turns

__all__ = ["showing_routes"]

FRAME_PATH: Final = "/sequal/frame"
PICTURE_PATH: Final = "/sequal/picture"
LABEL_PATH: Final = "/sequal/label"
#: A clip is asked for frame by frame.
_KEPT: Final = 2
_FINAL: Final = DefaultLabelTag.FINAL


def showing_routes(
    study: Study, datastore: Callable[[], Datastore], dependencies: Sequence[params.Depends] = ()
) -> list[APIRoute]:
    """What a frame is, its pixels as PNG, and its label as bare bytes.

    Args:
        study: knows what became of a frame.
        datastore: gives images and labels.
        dependencies: who may look.
    """
    frames = _LastFrames()

    def described(image: str) -> dict[str, Any]:
        try:
            frame = frames.get(_file(datastore(), image))
            row = FrameStates(study, datastore()).of(image)
        except SequalError as error:
            raise refusal(error) from error
        width, height, count = frame.grid
        layout, calibration = frame.layout, frame.calibration
        return {
            **row,
            "width": width,
            "height": height,
            "frames": count,
            "spacing_mm": calibration.spacing_mm,
            "calibration": calibration.source,
            "copies": 2 if frame.duplicated else 1,
            "layout": {"axes": layout.axes, "flip_x": layout.flip_x, "flip_y": layout.flip_y},
            "notes": frame.notes,
        }

    def picture(image: str, frame: Annotated[int, Query(ge=0)] = 0) -> Response:
        try:
            found = frames.get(_file(datastore(), image))
        except SequalError as error:
            raise refusal(error) from error
        if frame >= found.grid[2]:
            raise not_found("frame", frame)
        png = frame_picture(found.pixels[:, :, frame])
        return Response(png, media_type="image/png", headers={"Cache-Control": "no-cache"})

    def label(image: str) -> Response:
        store = datastore()
        stored = store.get_label_uri(store.get_label_by_image_id(image, _FINAL), _FINAL)
        if not stored or not Path(stored).is_file():
            raise HTTPException(
                status.HTTP_404_NOT_FOUND,
                f"Expected `image` to be one that is labelled, got {image!r}. Submit a label first.",
            )
        try:
            frame = frames.get(_file(store, image))
            classes = clean_label(read_label(stored, frame.grid, layout=frame.layout))[0]
        except SequalError as error:
            raise refusal(error) from error
        return Response(classes.tobytes(order="F"), media_type="application/octet-stream")

    shared: dict[str, Any] = {"methods": ["GET"], "tags": ["SEQUAL"], "dependencies": list(dependencies)}
    return [
        APIRoute(FRAME_PATH, described, **shared),
        APIRoute(PICTURE_PATH, picture, **shared),
        APIRoute(LABEL_PATH, label, **shared),
    ]


class _LastFrames:
    """The images that were asked for last, read once; safe to use from several threads."""

    def __init__(self) -> None:
        self._kept: LRUCache[tuple[Path, int, int], Frame] = LRUCache(_KEPT)
        self._lock = threading.Lock()

    def get(self, file: Path) -> Frame:
        """The image in a file.

        Raises:
            ImageError: it cannot be read.
        """
        try:
            stat = file.stat()
            key = file, stat.st_mtime_ns, stat.st_size
        except OSError:
            return read_frame(file)  # says what is wrong
        with self._lock:
            if key in self._kept:
                return self._kept[key]
        with large_images_take_turns(file):
            frame = read_frame(file)
        with self._lock:
            self._kept[key] = frame
        return frame


def _file(store: Datastore, image: str) -> Path:
    file = store.get_image_uri(image)
    if not file:
        raise not_found("image", image)
    return Path(file)
