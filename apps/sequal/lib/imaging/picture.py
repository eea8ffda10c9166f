"""PNG, JPEG, TIFF and BMP files, read with Pillow and transposed to `(W, H)`."""

from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageSequence

from lib.errors import ImageError
from lib.imaging.frame import to_luma

__all__ = ["PICTURE_FORMATS", "read_classes", "read_picture"]

#: Pillow goes by the contents of a file: without a list a `.png` could be PostScript, for which it starts a program.
PICTURE_FORMATS: Final = ("PNG", "JPEG", "TIFF", "BMP")


def read_picture(path: Path) -> NDArray[np.float32]:
    """Read a picture as grey values in the range of the file (8 or 16 bit).

    Colour becomes luma, alpha is ignored. An orientation in the EXIF data is not applied: results are given
    back on the grid that is stored in the file. TIFF files of several equal pages are cine clips.

    Args:
        path: The file.

    Returns:
        Float32 `(W, H)`, or `(W, H, F)` for a TIFF of several pages.

    Raises:
        ImageError: The pages of a TIFF differ in size.
        Exception: Whatever Pillow raises on a damaged file.
    """
    with Image.open(path, formats=PICTURE_FORMATS) as image:
        if image.format != "TIFF" or getattr(image, "n_frames", 1) == 1:
            return _grey(image).T
        pages = [_grey(page).T for page in ImageSequence.Iterator(image)]
    shapes = sorted({page.shape for page in pages})
    if len(shapes) > 1:
        raise ImageError(
            f"Expected the pages of {path.name} to be of one size, got {shapes}. "
            "Save the page with the frame as a file of its own."
        )
    return np.stack(pages, axis=-1)


def read_classes(path: Path) -> NDArray[Any]:
    """Read a picture as class values: palette indices stay indices, equal colour channels become one.

    Args:
        path: The file.

    Returns:
        `(W, H)` for one channel; `(W, H, C)` when the colour channels differ, which no label may have.
    """
    with Image.open(path, formats=PICTURE_FORMATS) as image:
        values: NDArray[Any] = np.asarray(image)
        bands = image.getbands()
    if values.ndim == 2:
        return values.T.astype(np.uint8) if values.dtype == np.bool_ else values.T
    colour = values[..., :-1] if bands[-1] == "A" else values
    if (colour == colour[..., :1]).all():
        return colour[..., 0].T
    return colour.swapaxes(0, 1)


def _grey(image: Image.Image) -> NDArray[np.float32]:
    """Grey values `(rows, columns)` of one page."""
    if image.mode in ("P", "PA", "CMYK", "YCbCr", "LAB", "HSV", "RGBX"):
        image = image.convert("RGB")
    if image.mode == "1":
        image = image.convert("L")
    values = np.asarray(image)
    if values.ndim == 2:
        return values.astype(np.float32)
    if values.shape[-1] == 2:
        return values[..., 0].astype(np.float32)
    return to_luma(values)
