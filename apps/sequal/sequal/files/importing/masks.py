"""Mask folders: whose mask belongs to which image, and what its values mean."""

import re
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sequal.errors import LabelError
from sequal.files.imaging import ALLOWED_CLASSES, image_stem, image_suffix, read_label
from sequal.files.importing.candidate import Candidate, LabelSource, Problem, no_image
from sequal.files.importing.walking import walk_files
from sequal.files.text_files import same_text
from sequal.labels import BACKGROUND, IGNORE, INTIMA_MEDIA

__all__ = ["attach_masks", "read_mask"]

#: A mask of more values is no mask.
_MOST_VALUES: Final = 16
#: What people add to the name of an image to name its mask.
_ENDING: Final = re.compile(r"[ _.-](mask|label|seg|segmentation|gt)$", re.IGNORECASE)


def attach_masks(
    candidates: Iterable[Candidate], folder: Path, layer_value: int | None
) -> tuple[dict[str, tuple[LabelSource, ...]], list[Problem], list[Problem]]:
    """Find the masks of images.

    A mask has its image's path below `folder`, or below a folder of its reader in it (`folder/<reader>/<path>`),
    with any suffix and perhaps `_mask`, `_label`, `_seg` or `_gt` behind the name.

    Args:
        candidates: the images.
        folder: of the masks.
        layer_value: the value of the layer; None: as `read_mask` finds out.

    Returns:
        Label sources by name of the candidate, masks without an image, and files that are no images.
    """
    names = {_stem(item.name): item.name for item in candidates}
    found: dict[str, dict[str, LabelSource]] = {}
    problems: list[Problem] = []
    others: list[Problem] = []
    for path in walk_files(folder):
        name = path.relative_to(folder).as_posix()
        if not image_suffix(path):
            others.append(no_image(f"{folder.name}/{name}"))
            continue
        image, reader = _match(_stem(name), names)
        if image is None:
            problems.append(
                Problem(f"{folder.name}/{name}", "Expected an image of the same name, got none. Add it to the source.")
            )
        elif reader in found.get(image, {}):
            problems.append(
                Problem(f"{folder.name}/{name}", f"Expected one mask of `{image}`, got a second one. Remove one.")
            )
        else:
            source = LabelSource(reader, (path,), partial(_read, path, layer_value))
            found.setdefault(image, {})[reader] = source
    return {image: tuple(readers.values()) for image, readers in found.items()}, problems, others


def read_mask(mask: NDArray[np.uint8], name: str, layer_value: int | None = None) -> NDArray[np.uint8]:
    """The app's classes from the values of a mask.

    Args:
        mask: uint8, any shape.
        name: what to call it in an error.
        layer_value: the value of the layer, also 0; 255 stays "not annotated" unless it is that value, all else is
            background. None: {0, 1, 255} are the app's classes, and of any other pair with 0 the other one is the
            layer, also 255 alone, as drawing programs save black and white.

    Returns:
        The same shape, in {0, 1, 255}. A mask without a drawn pixel is an empty label: no layer in this frame.

    Raises:
        LabelError: something else than the layer is drawn and the layer is not, or several values could be it.

    >>> read_mask(np.array([0, 255], dtype=np.uint8), "a.png").tolist()
    [0, 1]
    >>> read_mask(np.array([0, 1, 255], dtype=np.uint8), "a.png").tolist()
    [0, 1, 255]
    """
    values = {int(value) for value in np.unique(mask)} - {BACKGROUND}
    if not values:
        return mask
    if layer_value is None:
        if INTIMA_MEDIA in values and values <= ALLOWED_CLASSES:
            return mask
        if len(values) > _MOST_VALUES:
            raise LabelError(
                f"Expected `{name}` to hold 0 and one other value, got {len(values)} values. It looks like a grey "
                "picture, or a mask that was saved as JPEG. Save the mask itself, without loss."
            )
        if len(values) > 1:
            raise LabelError(
                f"Expected `{name}` to hold 0 and one other value, got {sorted(values)}. "
                "Say which is the layer with --layer-value."
            )
        layer_value = next(iter(values))
    if not (mask == layer_value).any():
        raise LabelError(f"Expected `{name}` to hold pixels of the layer, got none. Draw it, or remove the mask.")
    unknown = IGNORE if layer_value != BACKGROUND else BACKGROUND  # of an inverted mask 255 is the background
    label = np.where(mask == IGNORE, np.uint8(unknown), np.uint8(BACKGROUND))
    label[mask == layer_value] = INTIMA_MEDIA
    return label


def _read(path: Path, layer_value: int | None, grid: tuple[int, int, int]) -> NDArray[np.uint8]:
    return read_mask(read_label(path, grid), path.name, layer_value)


def _stem(name: str) -> str:
    folder, _, file = same_text(name).rpartition("/")
    stem = image_stem(file)
    return f"{folder}/{stem}" if folder else stem


def _match(stem: str, names: dict[str, str]) -> tuple[str | None, str]:
    """Name of the image and the reader; the longest possible name of an image counts."""
    for candidate in (stem, _ENDING.sub("", stem)):
        if candidate in names:
            return names[candidate], ""
        reader, _, rest = candidate.partition("/")
        if rest in names:
            return names[rest], reader
    return None, ""
