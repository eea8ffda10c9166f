"""The connection of a command to a PACS, with the names and passwords that the server takes."""

import os
from typing import Any, Final
from urllib.parse import urlsplit

import requests
from dicomweb_client import DICOMwebClient

from sequal.errors import SettingsError

__all__ = ["PASSWORD_VARIABLE", "USER_VARIABLE", "PacsSession", "pacs_client"]

#: The names under which MONAI Label's server takes the same credentials.
USER_VARIABLE: Final = "MONAI_LABEL_DICOMWEB_USERNAME"
PASSWORD_VARIABLE: Final = "MONAI_LABEL_DICOMWEB_PASSWORD"
_TIMEOUT_S: Final = 60.0


def pacs_client(url: str, option: str) -> DICOMwebClient:
    """A client of the PACS at an address; nothing is asked of it yet.

    Args:
        url: root of its DICOMweb service, for example `http://127.0.0.1:8042/dicom-web`.
        option: what the address was given as, for the message.

    Raises:
        SettingsError: the URL is none that begins with http:// or https://, or holds a user name or a password, which
            would end up in messages and in the shell's history.
    """
    session = _WaitingSession()
    user = os.environ.get(USER_VARIABLE)
    if user:
        session.auth = (user, os.environ.get(PASSWORD_VARIABLE, ""))
    try:
        parts = urlsplit(url)
        client = DICOMwebClient(url.rstrip("/"), session=session)
    except ValueError as error:
        raise SettingsError(
            f"Expected `{option}` to be the address of a DICOMweb service, got {url.rpartition('@')[2]!r}. "
            "Write for example http://127.0.0.1:8042/dicom-web."
        ) from error
    if parts.username or parts.password:
        raise SettingsError(
            f"Expected `{option}` to be an address without user name and password, got both for {parts.hostname}. "
            f"Set {USER_VARIABLE} and {PASSWORD_VARIABLE} instead."
        )
    # Its retries wait half a minute for a PACS that is down; the command can be run again.
    client.set_http_retry_params(retry=False)
    return client


class PacsSession(requests.Session):
    """A session whose searches every PACS understands: Orthanc's DICOMweb plugin (1.7) decodes nothing of a query."""

    def prepare_request(self, request: requests.Request) -> requests.PreparedRequest:
        """A request whose query has wildcards and commas as they are, which RFC 3986 (3.4) allows.

        >>> asked = requests.Request("GET", "http://pacs/series", params={"PatientID": "p?,q*"})
        >>> PacsSession().prepare_request(asked).url
        'http://pacs/series?PatientID=p?,q*'
        """
        prepared = super().prepare_request(request)
        address, mark, query = str(prepared.url).partition("?")
        for sign in "*?,":
            query = query.replace(f"%{ord(sign):02X}", sign)
        prepared.url = f"{address}{mark}{query}"
        return prepared


class _WaitingSession(PacsSession):
    """A session whose requests do not wait for ever."""

    def request(self, *args: Any, **kwargs: Any) -> requests.Response:  # noqa: ANN401 - as requests has it
        """Send a request with a time limit."""
        kwargs.setdefault("timeout", _TIMEOUT_S)
        return super().request(*args, **kwargs)
