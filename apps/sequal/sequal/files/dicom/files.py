"""DICOM objects as files."""

from pathlib import Path
from typing import Final

from pydicom.filewriter import dcmwrite

from sequal.errors import StudyError
from sequal.files.dicom.bundle import ImageBundle
from sequal.study.state import atomic_write

__all__ = ["write_bundle"]

#: Names that `ImageBundle.named` gives; a file of that name that the bundle no longer has is of a former export.
_OURS: Final = ("image_*.dcm", "label_final.dcm", "label_refined.dcm", "imt_final.dcm", "imt_refined.dcm")


def write_bundle(folder: Path, bundle: ImageBundle) -> int:
    """Write one image with its labels and reports into a folder of its own; a former export of it is replaced.

    Args:
        folder: made when it is not there.
        bundle: what to write.

    Returns:
        The number of files.

    Raises:
        StudyError: a file cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        written = set()
        for name, dataset in bundle.named():
            with atomic_write(folder / name) as file:
                dcmwrite(file, dataset, write_like_original=False)
            written.add(folder / name)
        # A refined label that is no longer valid must not lie beside the label that made it so.
        for pattern in _OURS:
            for former in set(folder.glob(pattern)) - written:
                former.unlink()
    except OSError as error:
        raise StudyError(
            f"Expected `{folder}` to be writable, got: {error}. Check the disk, or name another."
        ) from error
    return len(written)
