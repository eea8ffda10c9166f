"""A file that a client sent, under a name of ours."""

from pathlib import Path
from typing import Final

from fastapi import UploadFile

from sequal.files.imaging import image_suffix

__all__ = ["received", "received_label"]

_CHUNK: Final = 1 << 20
#: OHIF sends the bare bytes of a label.
_BARE: Final = ".bin"


def received(file: UploadFile, folder: Path, name: str, suffix: str | None = None) -> Path:
    """Keep what came.

    A client sends the path that the file has there; nothing of it is used but a suffix that is known.

    Args:
        file: what came.
        folder: where to.
        name: what to call it, without a suffix.
        suffix: None takes that of an image, `.nii.gz` for a file without a name.
    """
    if suffix is None:
        suffix = image_suffix(file.filename) if file.filename else ".nii.gz"
    kept = folder / f"{name}{suffix}"
    with kept.open("wb") as copy:
        while piece := file.file.read(_CHUNK):
            copy.write(piece)
    return kept


def received_label(file: UploadFile, folder: Path) -> Path:
    """Keep a label that came; its file may hold bare bytes."""
    bare = (file.filename or "").lower().endswith(_BARE)
    return received(file, folder, "label", _BARE if bare else None)
