"""The connection to the PACS that the server's own settings describe."""

import logging
from typing import Any, Final

from dicomweb_client import DICOMwebClient
from dicomweb_client.ext.gcp.session_utils import create_session_from_gcp_credentials
from monailabel.config import Settings
from monailabel.datastore.dicom import DICOMwebClientX

from lib.datastores.archive import ImageArchive, with_timeout
from lib.web.ohif import PacsService
from sequal.anatomy.model import Model
from sequal.errors import StudyError
from sequal.files.dicom.connection import PacsSession
from sequal.files.dicom.series_list import image_filter
from sequal.study.address import split_address

__all__ = ["open_archive", "search_filter", "viewed_pacs"]

logger = logging.getLogger(__name__)

#: In the address of a PACS in Google's cloud.
_GOOGLE: Final = "googleapis.com"


def open_archive(url: str, settings: Settings) -> ImageArchive:
    """The PACS at a URL; nothing is asked of it yet.

    Args:
        url: root of its DICOMweb service.
        settings: MONAI Label's, for user name, password and prefixes.

    Raises:
        StudyError: the URL holds a user name or a password, which would end up in logs, or is no URL.
    """
    parts = split_address(url)
    if parts.username or parts.password:
        raise StudyError(
            f"Expected `--studies` to be an address without user name and password, got both for {parts.hostname}. "
            "Set MONAI_LABEL_DICOMWEB_USERNAME and MONAI_LABEL_DICOMWEB_PASSWORD instead."
        )
    if settings.MONAI_LABEL_DICOMWEB_CACHE_PATH.strip():
        logger.warning(
            "MONAI_LABEL_DICOMWEB_CACHE_PATH is not used: what comes from the PACS is kept in the state folder of the "
            "study, which `--conf state PATH` sets"
        )
    try:
        client = _client(url.rstrip("/"), settings)
    except ValueError as error:
        raise StudyError(
            f"Expected `--studies` to be the address of a DICOMweb service, got {url!r} ({error}). "
            "Write for example http://127.0.0.1:8042/dicom-web."
        ) from error
    return ImageArchive(client, fetch_by_frame=settings.MONAI_LABEL_DICOMWEB_FETCH_BY_FRAME)


def viewed_pacs(url: str, settings: Settings) -> PacsService | None:
    """The PACS as viewers ask it; None where MONAI Label's own proxy does, which fetches tokens of Google's cloud.

    Args:
        url: root of its DICOMweb service.
        settings: MONAI Label's, for user name, password and prefixes.
    """
    if _GOOGLE in url:
        return None
    return PacsService(
        url,
        settings.MONAI_LABEL_DICOMWEB_USERNAME,
        settings.MONAI_LABEL_DICOMWEB_PASSWORD,
        qido_prefix=settings.MONAI_LABEL_QIDO_PREFIX,
        wado_prefix=settings.MONAI_LABEL_WADO_PREFIX,
        stow_prefix=settings.MONAI_LABEL_STOW_PREFIX,
    )


def search_filter(settings: Settings, model: Model, *, shared: bool = False) -> dict[str, Any]:
    """The filter of the images of a model that the server's settings give.

    Args:
        settings: MONAI Label's.
        model: whose images.
        shared: as `image_filter` takes it.

    Raises:
        SettingsError: as `image_filter`.
    """
    return image_filter(settings.MONAI_LABEL_DICOMWEB_SEARCH_FILTER, model.name, model.modalities, shared=shared)


def _client(url: str, settings: Settings) -> DICOMwebClient:
    if _GOOGLE in url:
        return DICOMwebClient(url=url, session=with_timeout(create_session_from_gcp_credentials()))
    session = with_timeout(PacsSession())
    if settings.MONAI_LABEL_DICOMWEB_USERNAME and settings.MONAI_LABEL_DICOMWEB_PASSWORD:
        session.auth = (settings.MONAI_LABEL_DICOMWEB_USERNAME, settings.MONAI_LABEL_DICOMWEB_PASSWORD)
    return DICOMwebClientX(
        url=url,
        session=session,
        qido_url_prefix=settings.MONAI_LABEL_QIDO_PREFIX,
        wado_url_prefix=settings.MONAI_LABEL_WADO_PREFIX,
        stow_url_prefix=settings.MONAI_LABEL_STOW_PREFIX,
    )
