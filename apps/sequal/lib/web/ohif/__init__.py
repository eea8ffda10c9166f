"""OHIF: the button in its study list, the route that serves it, and the viewer's way to the PACS."""

from lib.web.ohif.app_config import STUDY_LIST, app_config
from lib.web.ohif.last_predictions import LastPredictions
from lib.web.ohif.pacs_route import PACS_PATH, serve_pacs
from lib.web.ohif.pacs_service import PacsRequest, PacsService
from lib.web.ohif.routes import APP_CONFIG_PATH, serve_study_list

__all__ = [
    "APP_CONFIG_PATH",
    "PACS_PATH",
    "STUDY_LIST",
    "LastPredictions",
    "PacsRequest",
    "PacsService",
    "app_config",
    "serve_pacs",
    "serve_study_list",
]
