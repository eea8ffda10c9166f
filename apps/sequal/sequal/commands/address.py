"""What answers at an address that a command was given: a running server, or a PACS."""

from collections.abc import Sequence
from typing import Final
from urllib.parse import urlsplit

import requests

from sequal.errors import PacsError, ServerError
from sequal.files.dicom.connection import pacs_client
from sequal.files.dicom.series_list import ListedSeries, list_series, modality_filter
from sequal.settings import Settings
from sequal.study.address import model_path, split_address

__all__ = ["THIS_MACHINE", "is_server", "of_model", "series_at_server"]

#: A proxy of the environment knows nothing of this machine's own ports.
THIS_MACHINE: Final = ("127.0.0.1", "localhost", "::1")
_TIMEOUT_S: Final = (5.0, 60.0)
#: Below the server's address: what viewers ask the PACS by.
_TO_THE_PACS: Final = "/proxy/dicom"


def is_server(address: str) -> bool:
    """Whether a MONAI Label server answers at an address; a PACS is taken for what it is by asking it.

    Raises:
        ServerError: nothing answers.
        StudyError: the address is none.
    """
    shown = split_address(address).netloc.rpartition("@")[2]
    session = requests.Session()
    session.trust_env = urlsplit(address).hostname not in THIS_MACHINE
    try:
        reply = session.get(f"{address.rstrip('/')}/info/", timeout=_TIMEOUT_S)
        return reply.ok and "strategies" in reply.json()
    except requests.exceptions.JSONDecodeError:
        return False
    except requests.RequestException as error:
        raise ServerError(
            f"Expected a running server or a PACS at {shown}, got {type(error).__name__}. "
            "Start it, or check the address."
        ) from error


def of_model(address: str, model: str) -> str:
    """The address at which a server is one of this model alone, whatever else it serves.

    Raises:
        SettingsError: there is no such model.

    >>> of_model("http://127.0.0.1:8000/", "volume")
    'http://127.0.0.1:8000/sequal/volume'
    """
    return f"{address.rstrip('/')}{model_path(Settings.from_conf({'models': model}).model)}"


def series_at_server(address: str, modalities: Sequence[str] = ("US",)) -> list[ListedSeries]:
    """The series of a server's PACS, or those as which a server shows the files of a folder, described by their ids.

    Args:
        address: of the server.
        modalities: of the series.
    """
    client = pacs_client(f"{address.rstrip('/')}{_TO_THE_PACS}", "STUDIES")
    try:
        return list_series(client, modality_filter(modalities))
    except PacsError:
        return []
