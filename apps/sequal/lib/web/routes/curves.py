"""`POST /sequal/mask`: the mask between curves that an annotator has drawn or dragged, for viewers that draw none."""

from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np
from fastapi import params
from fastapi.responses import FileResponse
from fastapi.routing import APIRoute
from monailabel.interfaces.datastore import Datastore
from numpy.typing import NDArray
from starlette.background import BackgroundTask

from lib.configs import not_found, refusal
from lib.endpoints.answering import JsonBody
from lib.infers.mask import result_file
from sequal.anatomy.measurement import mask_between
from sequal.errors import MeasurementError, SequalError, SettingsError
from sequal.files.imaging import Frame, read_frame
from sequal.files.imaging.writing import write_on_frame

__all__ = ["MASK_PATH", "curve_routes"]

MASK_PATH: Final = "/sequal/mask"
_CURVES: Final = ("LI", "MA")
_SUFFIX: Final = ".nrrd"
_DIGITS: Final = 4


def curve_routes(datastore: Callable[[], Datastore], dependencies: Sequence[params.Depends] = ()) -> list[APIRoute]:
    """`POST` with JSON `{"LI": [curve, …], "MA": [curve, …]}` answers with the mask between them; nothing is stored.

    A curve is a list of points, `[r, a, s]` in millimetres, in the coordinates in which 3D Slicer shows the image. The
    mask is NRRD, on the grid of the image.

    Args:
        datastore: gives the images.
        dependencies: who may ask.
    """

    def between(image: str, drawn: JsonBody) -> FileResponse:
        file = datastore().get_image_uri(image)
        if not file:
            raise not_found("image", image)
        try:
            return _answer(read_frame(file), drawn)
        except SequalError as error:
            raise refusal(error) from error

    route = APIRoute(
        MASK_PATH, between, methods=["POST"], tags=["SEQUAL"], dependencies=list(dependencies), response_model=None
    )
    return [route]


def _answer(frame: Frame, drawn: dict[str, Any]) -> FileResponse:
    unknown = sorted(drawn.keys() - set(_CURVES) - {"client_id"})
    if unknown:
        raise SettingsError(f"Expected the curves LI and MA, got {unknown[0]!r}. Send these two alone.")
    li, ma = ([_pixels(points, frame, name) for points in _listed(drawn, name)] for name in _CURVES)
    try:
        mask = mask_between(li, ma, frame.grid)
    except MeasurementError as error:  # of what was drawn, not of the server
        raise SettingsError(str(error)) from error
    if not mask.any():
        raise SettingsError(
            "Expected LI and MA to have columns in common with MA below LI, got none. Draw both over the same stretch "
            "of the wall."
        )
    file = result_file(_SUFFIX)
    try:
        write_on_frame(file, mask, frame)
    except BaseException:
        file.unlink(missing_ok=True)
        raise
    return FileResponse(file, filename=f"curves{_SUFFIX}", background=BackgroundTask(file.unlink, missing_ok=True))


def _listed(drawn: dict[str, Any], name: str) -> list[Any]:
    curves = drawn.get(name, [])
    if not isinstance(curves, list):
        came = type(curves).__name__
        raise SettingsError(f"Expected `{name}` to be a list of curves, got {came}. Send [[point, …], …].")
    return curves


def _pixels(points: Any, frame: Frame, name: str) -> NDArray[np.float64]:  # noqa: ANN401 - JSON
    """Points in pixels of the frame, `(N, 3)`."""
    try:
        ras = np.array(points, dtype=np.float64).reshape(-1, 3)
    except (ValueError, TypeError, OverflowError) as error:
        raise SettingsError(
            f"Expected a curve of `{name}` to be a list of points [r, a, s], got something else. Send three numbers "
            "for each point."
        ) from error
    way = np.linalg.inv(frame.affine[:3, :3])
    # A point on the centre of a pixel shall stay there, on the way to millimetres and back.
    return np.asarray(np.round((ras - frame.affine[:3, 3]) @ way.T, _DIGITS), dtype=np.float64)
