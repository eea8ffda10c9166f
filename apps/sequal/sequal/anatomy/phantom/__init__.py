"""A B-mode simulator of the carotid artery, and a simulated expert."""

from sequal.anatomy.phantom.anatomy import KINDS, Anatomy, Kind, draw_anatomy, draw_kind
from sequal.anatomy.phantom.artefacts import Artefacts, Sheath, draw_artefacts
from sequal.anatomy.phantom.display import Display, draw_display
from sequal.anatomy.phantom.expert import SimulatedExpert, draw_reader
from sequal.anatomy.phantom.frame import PhantomFrame, mask_from_boundaries, simulate_frame
from sequal.anatomy.phantom.hospital import (
    HOSPITAL,
    Hospital,
    HospitalFrame,
    draw_hospital_frames,
    simulate_hospital_frame,
)
from sequal.anatomy.phantom.scanner import SCANNERS, Scanner, draw_scanner

__all__ = [
    "HOSPITAL",
    "KINDS",
    "SCANNERS",
    "Anatomy",
    "Artefacts",
    "Display",
    "Hospital",
    "HospitalFrame",
    "Kind",
    "PhantomFrame",
    "Scanner",
    "Sheath",
    "SimulatedExpert",
    "draw_anatomy",
    "draw_artefacts",
    "draw_display",
    "draw_hospital_frames",
    "draw_kind",
    "draw_reader",
    "draw_scanner",
    "mask_from_boundaries",
    "simulate_frame",
    "simulate_hospital_frame",
]
