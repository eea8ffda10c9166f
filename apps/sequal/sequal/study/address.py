"""The address of a study that lies elsewhere, and that of one model of a server."""

from urllib.parse import SplitResult, urlsplit

from sequal.errors import StudyError

__all__ = ["model_path", "split_address"]


def model_path(model: str) -> str:
    """The path below which a server of several models is one of this model alone.

    >>> model_path("volume")
    '/sequal/volume'
    """
    return f"/sequal/{model}"


def split_address(studies: str) -> SplitResult:
    """The parts of an address given as `--studies`.

    Raises:
        StudyError: it is none; the message repeats it without user name and password.

    >>> split_address("http://pacs:8042/dicom-web").hostname
    'pacs'
    """
    try:
        return urlsplit(studies)
    except ValueError as error:
        raise StudyError(
            f"Expected `--studies` to be a folder or the address of a DICOMweb service, got "
            f"{studies.rpartition('@')[2]!r} ({error}). Write for example http://127.0.0.1:8042/dicom-web."
        ) from error
