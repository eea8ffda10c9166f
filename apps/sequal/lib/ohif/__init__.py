"""OHIF with ultrasound: the script that the viewer loads, the routes that serve it, and its way to the PACS."""

from lib.ohif.app_config import BRIDGE, app_config
from lib.ohif.last_predictions import LastPredictions
from lib.ohif.pacs_route import PACS_PATH, serve_pacs
from lib.ohif.pacs_service import PacsRequest, PacsService
from lib.ohif.routes import APP_CONFIG_PATH, serve_bridge

__all__ = [
    "APP_CONFIG_PATH",
    "BRIDGE",
    "PACS_PATH",
    "LastPredictions",
    "PacsRequest",
    "PacsService",
    "app_config",
    "serve_bridge",
    "serve_pacs",
]
