"""DICOMweb for a study that is a folder, so that viewers open it without a PACS."""

from lib.web.dicomweb.naming import is_viewed, take_series_uids
from lib.web.dicomweb.service import FolderService, WebRequest
from lib.web.dicomweb.uids import ServedUids, StudyImages
from lib.web.dicomweb.viewed import as_viewed

__all__ = [
    "FolderService",
    "ServedUids",
    "StudyImages",
    "WebRequest",
    "as_viewed",
    "is_viewed",
    "take_series_uids",
]
