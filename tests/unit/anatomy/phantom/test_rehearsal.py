from itertools import islice

import numpy as np
import pytest
import torch

from sequal.anatomy.layer.convention import Convention
from sequal.anatomy.phantom import rehearsal, simulate_frame
from sequal.anatomy.phantom.patches import PhantomSample
from sequal.anatomy.phantom.rehearsal import Rehearsal, rehearsal_frames
from sequal.study.state import state_warnings
from unit.synthetic_study import settings


@pytest.fixture
def quick(monkeypatch):
    """Small frames in place of simulated screens; the list of what was simulated."""
    made = []

    def sample(seed, index, _settings, kind=None):
        made.append((seed, index, kind))
        label = np.zeros((40, 50), np.uint8)
        label[:, 20:25] = kind is None
        return PhantomSample(np.full((40, 50), index, np.uint8), label)

    monkeypatch.setattr(rehearsal, "phantom_sample", sample)
    return made


def test_frames_are_simulated_once_and_kept(quick, tmp_path):
    cache = tmp_path / "rehearsal.npz"
    first = rehearsal_frames(settings(), cache)
    again = rehearsal_frames(settings(), cache)
    assert len(quick) == len(first) == len(again) == 24
    assert 4 <= sum(kind == "no_wall" for _, _, kind in quick) <= 8
    for one, other in zip(first, again, strict=True):
        np.testing.assert_array_equal(one.image, other.image)
        np.testing.assert_array_equal(one.label, other.label)


def test_other_working_pixels_and_a_damaged_file_are_simulated_anew(quick, tmp_path, caplog):
    cache = tmp_path / "rehearsal.npz"
    rehearsal_frames(settings(), cache)
    rehearsal_frames(settings(working_spacing_mm=0.08), cache)
    assert len(quick) == 48
    cache.write_bytes(cache.read_bytes()[:1000])
    assert "was damaged" not in caplog.text
    rehearsal_frames(settings(working_spacing_mm=0.08), cache)
    assert len(quick) == 72
    assert "was damaged" in caplog.text
    assert "rehearsal.npz.damaged" in state_warnings(tmp_path)[0]


def test_patches_are_drawn_by_seed_and_fully_annotated_inside_the_frame(quick, tmp_path):
    frames = rehearsal_frames(settings(), tmp_path / "rehearsal.npz")
    runs = [list(islice(Rehearsal(frames, (32, 32), seed, Convention()), 12)) for seed in (1, 1, 2)]
    for (image, label), (same_image, same_label) in zip(runs[0], runs[1], strict=True):
        assert torch.equal(image, same_image)
        assert torch.equal(label, same_label)
        assert image.shape == label.shape == (1, 32, 32)
        assert label.dtype == torch.uint8
        assert set(label.unique().tolist()) <= {0, 1}
    assert not all(torch.equal(a, b) for (a, _), (b, _) in zip(runs[0], runs[2], strict=True))
    assert any((label == 1).any() for _, label in runs[0])


def test_frames_are_other_than_those_of_trainings_and_of_judges():
    first = simulate_frame(np.random.default_rng([rehearsal._SEED, 1])).pixels
    assert first.shape != simulate_frame(np.random.default_rng([0, 1])).pixels.shape


def test_patches_are_labelled_in_the_convention_of_the_study(quick, tmp_path):
    frames = [frame for frame in rehearsal_frames(settings(), tmp_path / "rehearsal.npz") if frame.label.any()]
    plain, moved = (
        sum(int((label == 1).sum()) for _, label in islice(Rehearsal(frames, (32, 32), 1, convention), 60))
        for convention in (Convention(), Convention(-1.0, 1.0))
    )
    assert moved == pytest.approx(plain * 7 / 5, rel=0.1)  # five rows become seven
