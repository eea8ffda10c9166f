"""Sending objects to a PACS over DICOMweb (STOW-RS)."""

from collections.abc import Sequence
from typing import Final

import requests
from pydicom.dataset import Dataset

from sequal.errors import PacsError
from sequal.files.dicom.connection import PASSWORD_VARIABLE, USER_VARIABLE, pacs_client

__all__ = ["Pacs"]

#: Answers that speak of the objects, not of the PACS: bad request, conflict, too large, type not supported.
_ABOUT_THE_OBJECTS: Final = (400, 409, 413, 415)
_SHOWN_REASONS: Final = 3


class Pacs:
    """A PACS that objects are sent to.

    Args:
        url: root of its DICOMweb service, for example `http://127.0.0.1:8042/dicom-web`.

    Raises:
        SettingsError: the URL is none that begins with http:// or https://, or holds a user name or a password, which
            would end up in messages and in the shell's history.
    """

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")
        self._client = pacs_client(url, "--stow")

    def store(self, datasets: Sequence[Dataset]) -> str | None:
        """Send the objects of one study in one request; what the PACS has already stays as it is there.

        Args:
            datasets: with file meta information.

        Returns:
            Why the PACS refused one or more of the objects; None when it has them all now.

        Raises:
            PacsError: the PACS does not answer, or refuses whatever is sent.
        """
        try:
            reply = self._client.store_instances(datasets)
        except requests.HTTPError as error:
            if error.response is not None and error.response.status_code in _ABOUT_THE_OBJECTS:
                return f"The PACS refused all {len(datasets)} objects: {error}. Look into its log."
            raise PacsError(
                f"Expected the PACS at {self.url} to store {len(datasets)} objects, got {error}. "
                f"Check address and rights; name and password are read from {USER_VARIABLE} and {PASSWORD_VARIABLE}."
            ) from error
        except (requests.RequestException, OSError) as error:
            raise PacsError(
                f"Expected the PACS at {self.url} to answer, got {type(error).__name__}: {error}. "
                "Start it, check the address, and run the command again: nothing is stored twice."
            ) from error
        refused = list(reply.get("FailedSOPSequence") or [])
        if not refused:
            return None
        reasons = ", ".join(sorted({_reason(item) for item in refused})[:_SHOWN_REASONS])
        return f"The PACS refused {len(refused)} of {len(datasets)} objects ({reasons}). Look into its log."


def _reason(item: Dataset) -> str:
    return f"reason {int(item.get('FailureReason', 0)):#06x}"
