"""OHIF with ultrasound: the script that the viewer loads, and the routes that serve it."""

from lib.ohif.app_config import BRIDGE, app_config
from lib.ohif.last_predictions import LastPredictions
from lib.ohif.routes import APP_CONFIG_PATH, MEASUREMENT_PATH, serve_bridge

__all__ = ["APP_CONFIG_PATH", "BRIDGE", "MEASUREMENT_PATH", "LastPredictions", "app_config", "serve_bridge"]
