"""File names of images and labels: the stem, the whole suffix, and the kind of file it means."""

from pathlib import Path
from typing import Final, Literal

__all__ = ["IMAGE_SUFFIXES", "FileKind", "file_kind", "image_stem", "image_suffix", "is_storable_name"]

FileKind = Literal["nifti", "nrrd", "picture", "dicom"]

#: Suffix to kind of file; two-part suffixes come first, so that they are tried first.
IMAGE_SUFFIXES: Final[dict[str, FileKind]] = {
    ".nii.gz": "nifti",
    ".seg.nrrd": "nrrd",
    ".nii": "nifti",
    ".nrrd": "nrrd",
    ".png": "picture",
    ".jpg": "picture",
    ".jpeg": "picture",
    ".tif": "picture",
    ".tiff": "picture",
    ".bmp": "picture",
    ".dcm": "dicom",
    ".dicom": "dicom",
}
_DICOM_PREAMBLE: Final = 128


def image_suffix(path: str | Path) -> str:
    """The whole suffix of an image file, in lower case; `""` when it is none that the app reads.

    >>> image_suffix("p01/left.NII.GZ"), image_suffix("scan.v2.png"), image_suffix("IM0001")
    ('.nii.gz', '.png', '')
    """
    name = Path(path).name.lower()
    return next((suffix for suffix in IMAGE_SUFFIXES if name.endswith(suffix)), "")


def image_stem(path: str | Path) -> str:
    """The file name without its whole suffix; dots inside the name stay.

    >>> [image_stem(name) for name in ("p01/left.nii.gz", "left.seg.nrrd", "scan.v2.png", "1.2.840")]
    ['left', 'left', 'scan.v2', '1.2.840']
    """
    name = Path(path).name
    return name[: len(name) - len(image_suffix(name))]


def is_storable_name(name: str) -> bool:
    r"""Whether a file name can be the id of an image: text in UTF-8, and not hidden.

    macOS writes a `._name` beside each file on foreign disks: it ends as the image does and is none.

    >>> [is_storable_name(name) for name in ("p01.nii.gz", "._p01.nii.gz", "p\udcff.nii.gz")]
    [True, False, False]
    """
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return not name.startswith(".")


def file_kind(path: str | Path) -> FileKind | None:
    """What kind of file this is, by its suffix, else by DICOM's mark in its first bytes.

    Args:
        path: An existing file.

    Returns:
        The kind, or `None` for a file that the app does not read.

    Raises:
        OSError: The file cannot be opened.
    """
    kind = IMAGE_SUFFIXES.get(image_suffix(path))
    if kind is not None:
        return kind
    with Path(path).open("rb") as stream:
        stream.seek(_DICOM_PREAMBLE)
        return "dicom" if stream.read(4) == b"DICM" else None
