"""The simulated hospital: patients on machines, the same from the same seed, and a reader's own convention."""

from dataclasses import replace

import numpy as np
import pytest

from sequal.anatomy.phantom import HOSPITAL, HospitalFrame, draw_hospital_frames, simulate_hospital_frame
from sequal.anatomy.phantom.capture import Capture, capture
from sequal.anatomy.phantom.hospital import Machine, draw_hospital

SMALL = replace(
    HOSPITAL,
    machines={
        name: Machine(replace(machine.scanner, width_mm=14.0, depth_mm=24.0), machine.display, machine.capture, 0.5)
        for name, machine in list(HOSPITAL.machines.items())[:2]
    },
)


def test_drawn_hospitals_are_poor_in_their_own_ways_and_their_reader_has_no_habits():
    one, same, other = (draw_hospital(np.random.default_rng(seed)) for seed in (0, 0, 1))
    assert one == same != other
    assert (one.li_mm, one.ma_mm) == (0.0, 0.0)
    assert one.machines.keys() == {"drawn"}
    assert one.machines["drawn"].capture.quality > 0
    assert one.machines["drawn"] not in HOSPITAL.machines.values()


def test_patients_have_several_frames_on_one_machine_and_the_shares_are_kept():
    frames = draw_hospital_frames(HOSPITAL, 0, 0, 2000)
    assert len(frames) == len(set(frames)) == 2000
    machines = {}
    for frame in frames:
        machines.setdefault(frame.patient, set()).add(frame.machine)
    assert all(len(found) == 1 for found in machines.values())
    used = [next(iter(found)) for found in machines.values()]
    for name, machine in HOSPITAL.machines.items():
        assert used.count(name) / len(used) == pytest.approx(machine.share, abs=0.06)
    assert sum(machine.share for machine in HOSPITAL.machines.values()) == pytest.approx(1)
    later = draw_hospital_frames(HOSPITAL, 0, frames[-1].patient + 1, 10)
    assert not {frame.patient for frame in later} & {frame.patient for frame in frames}


def test_a_frame_is_the_same_whenever_it_is_simulated():
    which = HospitalFrame(3, "portable", 1)
    first, again = (simulate_hospital_frame(SMALL, 0, which) for _ in range(2))
    other = simulate_hospital_frame(SMALL, 1, which)
    assert np.array_equal(first.pixels, again.pixels)
    assert np.array_equal(first.mask, again.mask)
    assert first.pixels.shape != other.pixels.shape or not np.array_equal(first.pixels, other.pixels)


def test_the_reader_draws_by_his_own_convention():
    leading = replace(SMALL, li_mm=0.0, ma_mm=0.0)
    for index in range(4):
        which = HospitalFrame(0, "premium", index)
        theirs, edges = (simulate_hospital_frame(hospital, 0, which) for hospital in (SMALL, leading))
        assert np.array_equal(theirs.pixels, edges.pixels)
        spacing = theirs.spacing_mm[1]
        assert np.nanmean(theirs.li - edges.li) * spacing == pytest.approx(SMALL.li_mm)
        assert np.nanmean(theirs.ma - edges.ma) * spacing == pytest.approx(SMALL.ma_mm, abs=0.01)


def test_no_wall_gives_an_empty_truth():
    bare = simulate_hospital_frame(replace(SMALL, no_wall=1.0), 0, HospitalFrame(0, "premium", 0))
    assert bare.kind == "no_wall"
    assert not bare.mask.any()
    assert bare.pixels.std() > 5


def test_what_is_darker_than_the_recorder_sees_is_lost():
    grey = np.array([[0, 10, 100, 200, 255]], dtype=np.uint8)
    rng = np.random.default_rng(0)
    assert capture(grey, Capture(black=-20.0), rng).tolist() == [[0, 0, 88, 196, 255]]
    assert capture(grey, Capture(black=20.0), rng)[0, 0] == 20
    assert capture(grey, Capture(white=300.0), rng)[0, -1] == 255
    brighter = capture(grey, Capture(gamma=0.5), rng)
    assert brighter.tolist() == [[0, 50, 160, 226, 255]]


def test_jpeg_noise_and_blur_leave_a_picture_of_the_same_size_that_differs():
    screen = np.random.default_rng(1).integers(0, 255, (37, 53)).astype(np.uint8)
    for how in (Capture(quality=20), Capture(noise=5.0), Capture(blur_px=1.5)):
        recorded = capture(screen, how, np.random.default_rng(0))
        assert recorded.shape == screen.shape
        assert recorded.dtype == np.uint8
        assert not np.array_equal(recorded, screen)
        assert np.corrcoef(recorded.ravel(), screen.ravel())[0, 1] > 0.3
