"""Simulated volumes of CT and MR with exact truth, for tests and for the demo of the volume model."""

from sequal.anatomy.phantom.volumes.bodies import BODY_LABELS, BODY_PARTS, Body, BodyPart, draw_body
from sequal.anatomy.phantom.volumes.scanner import VOLUME_SCANNERS, VolumeScannerName
from sequal.anatomy.phantom.volumes.volume import PhantomVolume, simulate_volume

__all__ = [
    "BODY_LABELS",
    "BODY_PARTS",
    "VOLUME_SCANNERS",
    "Body",
    "BodyPart",
    "PhantomVolume",
    "VolumeScannerName",
    "draw_body",
    "simulate_volume",
]
