"""OHIF: what the app adds to it, the route that serves that, and the viewer's way to the PACS."""

from lib.web.ohif.app_config import STUDY_LIST, VOLUME_LABELS, app_config
from lib.web.ohif.last_predictions import LastPredictions
from lib.web.ohif.pacs_route import PACS_PATH, serve_pacs
from lib.web.ohif.pacs_service import PacsRequest, PacsService
from lib.web.ohif.routes import APP_CONFIG_PATH, serve_app_config

__all__ = [
    "APP_CONFIG_PATH",
    "PACS_PATH",
    "STUDY_LIST",
    "VOLUME_LABELS",
    "LastPredictions",
    "PacsRequest",
    "PacsService",
    "app_config",
    "serve_app_config",
    "serve_pacs",
]
