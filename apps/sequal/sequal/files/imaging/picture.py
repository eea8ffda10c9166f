"""PNG, JPEG, TIFF and BMP files, read with Pillow and transposed to `(W, H)`."""

from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageSequence

from sequal.errors import ImageError, LabelError
from sequal.files.imaging.frame import to_luma
from sequal.files.imaging.layout import PLAIN, Layout

__all__ = ["PICTURE_FORMATS", "read_classes", "read_picture"]

#: Pillow goes by the contents of a file: without a list a `.png` could be PostScript, for which it starts a program.
PICTURE_FORMATS: Final = ("PNG", "JPEG", "TIFF", "BMP")


def read_picture(path: Path) -> tuple[NDArray[np.float32], Layout]:
    """Read a picture as grey values in the range of the file (8 or 16 bit).

    Colour becomes luma, alpha is ignored. TIFF files of several equal pages are cine clips.

    Args:
        path: The file.

    Returns:
        Float32 `(W, H)`, or `(W, H, F)` for a TIFF of several pages, as ITK and so 3D Slicer read it, which leave the
        orientation in the EXIF data alone; and the layout that brings it upright.

    Raises:
        ImageError: The pages of a TIFF differ in size.
        Exception: Whatever Pillow raises on a damaged file.
    """
    # By a stream: given a path, Pillow maps the file into memory, and then garbles a TIFF that lies on its side.
    with path.open("rb") as stream, Image.open(stream, formats=PICTURE_FORMATS) as image:
        orientation = int(image.getexif().get(ExifTags.Base.Orientation, 1))
        if image.format != "TIFF":
            return _grey(image).T, Layout.of_exif(orientation)
        layout = _tiff_layout(orientation)
        pages = [_as_itk(_grey(page).T, layout) for page in ImageSequence.Iterator(image)]
    shapes = sorted({page.shape for page in pages})
    if len(shapes) > 1:
        raise ImageError(
            f"Expected the pages of {path.name} to be of one size, got {shapes}. "
            "Save the page with the frame as a file of its own."
        )
    return pages[0] if len(pages) == 1 else np.stack(pages, axis=-1), layout


def read_classes(path: Path) -> NDArray[Any]:
    """Read a picture as class values: palette indices stay indices, equal colour channels become one.

    What is transparent is background. A mask may also be drawn in transparency alone, or in one colour on black.

    Args:
        path: The file.

    Returns:
        `(W, H)`; 1 where a mask is drawn in transparency or in a colour.

    Raises:
        LabelError: it is drawn in several colours, of which nobody knows which is the layer.
    """
    # By a stream: given a path, Pillow maps the file into memory, and then garbles a TIFF that lies on its side.
    with path.open("rb") as stream, Image.open(stream, formats=PICTURE_FORMATS) as image:
        values: NDArray[Any] = np.asarray(image)
        bands = image.getbands()
    if values.ndim == 2:
        return values.T.astype(np.uint8) if values.dtype == np.bool_ else values.T
    colour, opaque = values, np.ones(values.shape[:2], np.bool_)
    if bands[-1] == "A":
        colour, alpha = values[..., :-1], values[..., -1]
        half = np.iinfo(alpha.dtype).max // 2
        # Transparent throughout is no drawing: some programs leave the channel empty.
        opaque = alpha > half if (alpha > half).any() else opaque
        if not opaque.all() and (colour == colour[0, 0]).all():
            return opaque.T.astype(np.uint8)
    if (colour == colour[..., :1]).all():
        return np.where(opaque, colour[..., 0], 0).T
    drawn = np.unique(colour[opaque & colour.any(axis=-1)], axis=0)
    if len(drawn) > 1:
        raise LabelError(
            f"Expected the mask `{path.name}` in grey values, or in one colour on black, got {len(drawn)} colours. "
            "Save the layer alone, as value 1 on 0."
        )
    return (opaque & colour.any(axis=-1)).T.astype(np.uint8)


def _tiff_layout(orientation: int) -> Layout:
    """Of a TIFF file as ITK reads it: libtiff turns it over, and leaves rows and columns exchanged."""
    if orientation in (6, 8):
        return Layout.of_exif(7)
    return Layout.of_exif(5) if orientation in (5, 7) else PLAIN


def _as_itk(upright: NDArray[np.float32], layout: Layout) -> NDArray[np.float32]:
    """A page that Pillow brought upright, as ITK reads it."""
    page: NDArray[np.float32] = layout.to_file(upright[:, :, np.newaxis])[:, :, 0]
    return page


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
