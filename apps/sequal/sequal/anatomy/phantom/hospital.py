"""A hospital that no weights were trained for: its machines, its patients, and a reader with habits of his own."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from sequal.anatomy.phantom.anatomy import Anatomy, Kind, draw_anatomy
from sequal.anatomy.phantom.artefacts import Artefacts, Sheath
from sequal.anatomy.phantom.capture import Capture, capture
from sequal.anatomy.phantom.display import Display, draw_display
from sequal.anatomy.phantom.frame import PhantomFrame, simulate_frame
from sequal.anatomy.phantom.scanner import Scanner, draw_scanner

__all__ = [
    "HOSPITAL",
    "Hospital",
    "HospitalFrame",
    "Machine",
    "draw_hospital",
    "draw_hospital_frames",
    "simulate_hospital_frame",
]

#: Apart from every other use of the simulator.
_SEED: Final = 711_203


@dataclass(frozen=True)
class Machine:
    """A scanner as this hospital uses and records it.

    Attributes:
        scanner: probe and settings.
        display: filters of the picture.
        capture: how it is recorded.
        share: part of the patients that are seen on it.
    """

    scanner: Scanner
    display: Display
    capture: Capture
    share: float


@dataclass(frozen=True)
class Hospital:
    """What is special about a hospital; the parts are of all frames that show a wall, where nothing else is said.

    Attributes:
        machines: by name.
        li_mm: the reader traces LI so much deeper than the leading edge.
        ma_mm: the reader traces MA so much deeper than the leading edge.
        plaque: part of the patients with plaque.
        plaque_db: echogenicity of plaque, lowest and highest.
        thickened: part of the patients with a thickened wall.
        no_wall: part of all frames that show no wall.
        haze: part with fog in the lumen.
        haze_db: level of the fog, lowest and highest.
        second_vessel: part with another vessel along the artery, above or below it.
        shadow: part with an acoustic shadow.
        frames_per_patient: fewest and most.
    """

    machines: dict[str, Machine]
    li_mm: float
    ma_mm: float
    plaque: float
    plaque_db: tuple[float, float]
    thickened: float
    no_wall: float
    haze: float
    haze_db: tuple[float, float]
    second_vessel: float
    shadow: float
    frames_per_patient: tuple[int, int]


#: Portable machine, smooth premium machine, and an old one in the archive as crushed video.
HOSPITAL: Final = Hospital(
    machines={
        "portable": Machine(
            Scanner(0.075, 38.0, 38.0, 5.2, 2.4, 0.9, 24.0, 52.0, 0.0, -7.0, 1.05, -44.0, 1, 0.0),
            Display(block_step=8.0),
            Capture(black=8.0, noise=5.0, quality=35),
            share=0.4,
        ),
        "premium": Machine(
            Scanner(0.055, 36.0, 32.0, 11.0, 1.4, 0.35, 16.0, 70.0, -3.0, 6.0, 1.2, -58.0, 5, 1.2),
            Display(despeckling_px=7, sharpening=1.8),
            Capture(black=-8.0, gamma=1.2, quality=60),
            share=0.35,
        ),
        "archive": Machine(
            Scanner(0.09, 40.0, 42.0, 7.0, 2.2, 0.7, 22.0, 44.0, -5.0, -6.0, 1.5, -46.0, 1, 0.3),
            Display(),
            Capture(black=-18.0, white=300.0, gamma=1.15, blur_px=1.6, noise=4.0, quality=25),
            share=0.25,
        ),
    },
    li_mm=-0.04,
    ma_mm=0.14,
    plaque=0.2,
    plaque_db=(-20.0, 6.0),
    thickened=0.15,
    no_wall=0.08,
    haze=0.5,
    haze_db=(-34.0, -20.0),
    second_vessel=0.4,
    shadow=0.12,
    frames_per_patient=(2, 5),
)


def draw_hospital(rng: np.random.Generator) -> Hospital:
    """A hospital with a poor machine, drawn from wide ranges: networks fail on its frames; its reader has no habits."""
    recorded = Capture(
        black=float(rng.uniform(-25.0, 12.0)),
        white=float(rng.uniform(230.0, 310.0)),
        gamma=float(rng.uniform(0.7, 1.5)),
        blur_px=float(rng.choice([0.0, rng.uniform(0.5, 2.0)])),
        noise=float(rng.uniform(0.0, 8.0)),
        quality=int(rng.integers(15, 80)),
    )
    machine = Machine(draw_scanner(rng), draw_display(rng), recorded, share=1.0)
    return Hospital(
        machines={"drawn": machine},
        li_mm=0.0,
        ma_mm=0.0,
        plaque=0.25,
        plaque_db=(-20.0, 6.0),
        thickened=0.15,
        no_wall=0.12,
        haze=0.5,
        haze_db=(-34.0, -14.0),
        second_vessel=0.5,
        shadow=0.25,
        frames_per_patient=(1, 1),
    )


@dataclass(frozen=True)
class HospitalFrame:
    """A frame that can be simulated on its own.

    Attributes:
        patient: number of the patient.
        machine: name of the machine.
        index: number of the frame among the patient's.
    """

    patient: int
    machine: str
    index: int


def draw_hospital_frames(hospital: Hospital, seed: int, first_patient: int, count: int) -> list[HospitalFrame]:
    """The next `count` frames from `first_patient` on; the last patient has as many as are left.

    Args:
        hospital: whose.
        seed: of the patients.
        first_patient: their numbers go on from there.
        count: frames.
    """
    found: list[HospitalFrame] = []
    for patient in _numbers(first_patient):
        rng = np.random.default_rng([_SEED, seed, patient, 0])
        names = list(hospital.machines)
        machine = names[int(rng.choice(len(names), p=[hospital.machines[name].share for name in names]))]
        frames = int(rng.integers(hospital.frames_per_patient[0], hospital.frames_per_patient[1] + 1))
        found += [HospitalFrame(patient, machine, index) for index in range(frames)]
        if len(found) >= count:
            break
    return found[:count]


def simulate_hospital_frame(hospital: Hospital, seed: int, which: HospitalFrame) -> PhantomFrame:
    """Simulate one frame; its boundaries are those of the hospital's reader."""
    machine = hospital.machines[which.machine]
    scanner = machine.scanner
    body = np.random.default_rng([_SEED, seed, which.patient, 1])
    rng = np.random.default_rng([_SEED, seed, which.patient, 2, which.index])
    anatomy = _at_this_moment(_patient(hospital, scanner, body), hospital, rng)
    if rng.random() < hospital.no_wall:
        anatomy = draw_anatomy(rng, "no_wall", scanner.width_mm, scanner.depth_mm)
    artefacts, anatomy = _artefacts(hospital, anatomy, rng)
    frame = simulate_frame(rng, scanner=scanner, anatomy=anatomy, display=machine.display, artefacts=artefacts)
    li, ma = (
        curve + shift / scanner.spacing_mm for curve, shift in ((frame.li, hospital.li_mm), (frame.ma, hospital.ma_mm))
    )
    pixels = capture(frame.pixels, machine.capture, rng)
    return PhantomFrame(pixels, frame.spacing_mm, li, np.minimum(ma, pixels.shape[1] - 1.0), frame.kind)


def _numbers(first: int) -> Iterator[int]:
    while True:
        yield first
        first += 1


def _patient(hospital: Hospital, scanner: Scanner, rng: np.random.Generator) -> Anatomy:
    """The artery of a patient, as all of its frames show it."""
    drawn = rng.random()
    kind: Kind = "ordinary"
    if drawn < hospital.plaque:
        kind = "plaque"
    elif drawn < hospital.plaque + hospital.thickened:
        kind = "thickened"
    anatomy = draw_anatomy(rng, kind, scanner.width_mm, scanner.depth_mm)
    return replace(anatomy, plaque_db=float(rng.uniform(*hospital.plaque_db)))


def _at_this_moment(anatomy: Anatomy, hospital: Hospital, rng: np.random.Generator) -> Anatomy:
    """The same artery with the probe held a little differently."""
    deeper = float(rng.normal(0.0, 0.8))
    turn = -1 if rng.random() < 0.3 else 1
    tilt = float(rng.normal(0.0, 1.0)) * np.linspace(-0.5, 0.5, len(anatomy.ma_mm))
    near, li, ma = (curve[::turn] + deeper + tilt for curve in (anatomy.near_mm, anatomy.li_mm, anatomy.ma_mm))
    shadow = np.zeros_like(ma)
    if rng.random() < hospital.shadow:
        x = np.linspace(-0.5, 0.5, len(ma))
        centre, half = rng.uniform(-0.45, 0.45), rng.uniform(0.03, 0.1)
        shadow = rng.uniform(10.0, 24.0) * np.exp(-(((x - centre) / half) ** 4))
    return replace(
        anatomy,
        near_mm=near,
        li_mm=li,
        ma_mm=ma,
        in_plane=anatomy.in_plane[::turn],
        strength=np.clip(anatomy.strength[::turn] + rng.normal(0.0, 0.1), 0.1, 1.0),
        shadow_db=shadow,
        seed=int(rng.integers(2**31)),
    )


def _artefacts(hospital: Hospital, anatomy: Anatomy, rng: np.random.Generator) -> tuple[Artefacts, Anatomy]:
    """Fog in the lumen and a second vessel: a dark band on a bright one with a line above it, as a far wall has."""
    haze = float(rng.uniform(*hospital.haze_db)) if rng.random() < hospital.haze else None
    vessels: tuple[Sheath, ...] = ()
    if rng.random() < hospital.second_vessel:
        lumen = float(rng.uniform(2.2, 4.0))
        below = rng.random() < 0.6
        ends = [float(anatomy.ma_mm[end]) + rng.uniform(2.0, 3.5) + lumen for end in (0, -1)]
        if not below:
            ends = [float(anatomy.near_mm[end]) - rng.uniform(1.5, 3.0) for end in (0, -1)]
        vessels = (
            Sheath(
                left_mm=ends[0],
                right_mm=ends[1],
                bow_mm=float(rng.normal(0.0, 0.3)),
                band_mm=float(rng.uniform(0.6, 1.4)),
                band_db=float(rng.uniform(-4.0, 2.0)),
                muscle_mm=lumen,
                muscle_db=float(rng.uniform(-58.0, -42.0)),
                line=float(rng.uniform(0.2, 0.7)),
                line_mm=float(rng.uniform(0.4, 0.8)),
            ),
        )
        walls = np.array([[ends[0] - lumen, ends[1] - lumen, 0.0, float(rng.uniform(0.4, 0.9))]])
        anatomy = replace(anatomy, fascia=np.concatenate([anatomy.fascia, walls]))
    ghosts = ((1.1, 0.25), (2.2, 0.12)) if rng.random() < 0.4 else ()
    return Artefacts(ghosts=ghosts, haze=haze, haze_patch_mm=float(rng.uniform(1.0, 4.0)), sheaths=vessels), anatomy
