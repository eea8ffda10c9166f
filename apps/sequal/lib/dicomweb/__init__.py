"""DICOMweb for a study that is a folder, so that viewers open it without a PACS."""

from lib.dicomweb.naming import is_viewed, take_series_uids
from lib.dicomweb.service import FolderService, WebRequest
from lib.dicomweb.uids import ServedUids, StudyImages
from lib.dicomweb.viewed import as_viewed

__all__ = [
    "FolderService",
    "ServedUids",
    "StudyImages",
    "WebRequest",
    "as_viewed",
    "is_viewed",
    "take_series_uids",
]
