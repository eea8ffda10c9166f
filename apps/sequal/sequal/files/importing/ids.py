"""Names that files, URLs and MONAI Label all take, from any path or reader."""

import re

from sequal.files.imaging import image_stem
from sequal.files.text_files import same_text

__all__ = ["id_of", "tag_of"]

#: MONAI Label's own tags: a reader of that name must not be taken for the annotator or for a model.
_RESERVED = {"final", "original"}
_LONGEST_TAG = 64
_LONGEST_ID = 180


def id_of(name: str) -> str:
    """The id of an image, from its path within the source.

    >>> id_of("left/p 01 (2).nii.gz"), id_of(".hidden/a.png")
    ('left_p_01_2', 'hidden_a')
    """
    folder, _, file = same_text(name).rpartition("/")
    path = f"{folder}_{image_stem(file)}" if folder else image_stem(file)
    return re.sub(r"[^\w.-]+", "_", path).strip("._-")[:_LONGEST_ID] or "image"


def tag_of(reader: str) -> str:
    """The label tag of a reader: the folder `labels/<tag>` of the study.

    >>> tag_of("Manual-A1"), tag_of("Computerised TUM"), tag_of("final")
    ('Manual-A1', 'Computerised_TUM', 'reader-final')
    """
    tag = re.sub(r"[^A-Za-z0-9._-]+", "_", reader).strip("._-")[:_LONGEST_TAG] or "reader"
    return f"reader-{tag}" if tag.lower() in _RESERVED else tag
