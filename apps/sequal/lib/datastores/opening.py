"""The images of every study of a server, as one MONAI Label datastore."""

from monailabel.config import Settings
from monailabel.interfaces.datastore import Datastore

from lib.configs import Claims, Studies
from lib.datastores.connection import open_archive, search_filter
from lib.datastores.dicomweb import DicomWebStudy
from lib.datastores.joined import JoinedStudies
from lib.datastores.label_guard import LabelGuard
from lib.datastores.local import StudyFolder

__all__ = ["open_folders", "open_pacs"]


def open_folders(studies: Studies, claims: Claims, *, watched: bool) -> Datastore:
    """The studies folders, guarded; of several models as one.

    Args:
        studies: of the server.
        claims: of the server; they are made here.
        watched: look for new files while the server runs.

    Raises:
        StudyError: a server with another state serves one of the studies.
    """
    claims.make()
    several = len(studies.by_model) > 1
    folders = {
        model: StudyFolder(one.studies, LabelGuard(one.state, one.settings), auto_reload=watched and not several)
        for model, one in studies.by_model.items()
    }
    return JoinedStudies(folders, watched=watched) if several else next(iter(folders.values()))


def open_pacs(studies: Studies, claims: Claims, server: Settings) -> Datastore:
    """The images of a PACS, each model those of its modalities, guarded; of several models as one.

    Args:
        studies: of the server.
        claims: of the server; they are made here.
        server: MONAI Label's settings.

    Raises:
        StudyError: as `open_folders` and `open_archive`.
        SettingsError: as `search_filter`.
    """
    archive, several = open_archive(studies.place, server), len(studies.by_model) > 1
    searches = {model: search_filter(server, one.model, shared=several) for model, one in studies.by_model.items()}
    claims.make(searches)
    parts = {
        model: DicomWebStudy(archive, searches[model], one.state, LabelGuard(one.state, one.settings))
        for model, one in studies.by_model.items()
    }
    return JoinedStudies(parts, watched=False) if several else next(iter(parts.values()))
