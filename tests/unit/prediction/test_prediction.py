from pathlib import Path

import numpy as np
import pytest
import torch

from sequal.acquisition import pseudo_label_divergence
from sequal.anatomy.measurement import measure_probability
from sequal.anatomy.models import model_of
from sequal.errors import SettingsError
from sequal.files.imaging import NOT_CALIBRATED, Calibration, Frame
from sequal.learning.networks import Ensemble
from sequal.prediction import choose_device, log_probabilities, predict, predict_image
from sequal.prediction.confidence import expected_dice
from sequal.preparation.working_grid import frame_to_working
from unit.synthetic_study import band, settings

CPU = torch.device("cpu")
MM = Calibration((0.06, 0.06), "given")


def _frame(pixels, calibration=MM):
    return Frame(pixels.astype(np.float32), np.eye(4), pixels.shape, calibration, Path("a.nii.gz"))


@pytest.fixture(scope="module")
def clip():
    return band(np.random.default_rng(0), frames=6)[0]


class _Constant(torch.nn.Module):
    """A network that gives the layer one probability everywhere, or p = the pixel itself."""

    def __init__(self, p=None):
        super().__init__()
        self.p = p

    def forward(self, x):
        p = x.clamp(1e-6, 1 - 1e-6) if self.p is None else torch.full_like(x, self.p)
        return torch.cat([(1 - p).log(), p.log()], dim=1)


def _loaded(loaded, teacher, student=None):
    """The same bundle with other networks in it."""

    class Pair:
        pass

    pair = Pair()
    pair.shown, pair.symmetric = teacher, False
    return type(loaded)(pair, teacher, student or teacher, "carotid", "digest", {})


def test_ranges_shapes_and_types(loaded, clip):
    found = predict_image(_frame(clip), loaded, settings(), CPU)
    assert found.mask.shape == found.probability.shape == (96, 64, 6)
    assert (found.mask.dtype, found.probability.dtype) == (np.uint8, np.float32)
    assert set(np.unique(found.mask)) <= {0, 1}
    assert found.probability.min() >= 0.0
    assert found.probability.max() <= 1.0
    np.testing.assert_array_equal(found.mask, found.probability > 0.5)
    assert found.pld >= 0.0
    assert found.confidence is None or 0.0 <= found.confidence <= 1.0


def test_the_frames_of_a_clip_are_predicted_as_if_alone(loaded, clip):
    together = predict_image(_frame(clip), loaded, settings(), CPU)
    alone = [predict_image(_frame(clip[:, :, f : f + 1]), loaded, settings(), CPU) for f in range(6)]
    np.testing.assert_allclose(
        together.probability, np.concatenate([one.probability for one in alone], axis=2), atol=1e-5
    )
    assert together.pld == pytest.approx(np.mean([one.pld for one in alone]), rel=1e-4)
    sure = [one.confidence for one in alone if one.confidence is not None]
    assert together.confidence == (pytest.approx(min(sure), rel=1e-4) if sure else None)


def _log_p(frame, *networks):
    working = frame_to_working(frame, settings())
    found = log_probabilities(networks, working.pixels, working.grid, CPU)
    return [found[network] for network in networks]


@pytest.mark.parametrize("form", ["kl", "pseudo_label", "layer"])
def test_pld_is_that_of_the_working_grid(loaded, clip, form):
    frame = _frame(clip[:, :, :1])
    reference, other = _log_p(frame, loaded.pair.teacher, loaded.pair.student)
    thin_px = 0.2 / settings().working_spacing_mm
    expected = pseudo_label_divergence(reference, other, form=form, thin_px=thin_px).item()
    assert predict_image(frame, loaded, settings(pld_form=form), CPU).pld == pytest.approx(expected)
    assert expected > 0.0


def test_a_query_pair_gives_pld_and_the_teacher_the_mask(loaded, loaded_with_query_pair, clip):
    frame = _frame(clip[:, :, :1])
    plain, query = (predict_image(frame, one, settings(), CPU) for one in (loaded, loaded_with_query_pair))
    np.testing.assert_array_equal(plain.probability, query.probability)
    compared = _log_p(frame, loaded_with_query_pair.reference, loaded_with_query_pair.other)
    expected = pseudo_label_divergence(*compared).item()
    assert query.pld == pytest.approx(expected)
    assert abs(query.pld - plain.pld) > 1e-6


def test_a_band_that_the_network_sees_exactly(loaded):
    """The network gives back the pixel: 20 white rows of 64 are a wall of 20 rows, 1.2 mm."""
    pixels = np.zeros((400, 64, 1), np.float32)
    pixels[:, 20:40] = 200
    found = predict_image(_frame(pixels), _loaded(loaded, _Constant()), settings(), CPU)
    np.testing.assert_array_equal(found.mask[:, :, 0], pixels[:, :, 0] > 0)
    imt = measure_probability(found.probability, MM)[0]
    assert imt.mean == pytest.approx(1.2, abs=0.01)
    assert imt.length == pytest.approx(24.0)
    assert found.confidence == pytest.approx(1.0, abs=1e-3)


def test_without_calibration_there_are_only_pixels(loaded):
    pixels = np.zeros((400, 64, 1), np.float32)
    pixels[:, 20:40] = 200
    found = predict_image(_frame(pixels, NOT_CALIBRATED), _loaded(loaded, _Constant()), settings(), CPU)
    params = measure_probability(found.probability, NOT_CALIBRATED)[0].as_params()
    assert params["mean_px"] == pytest.approx(20.0, abs=0.1)
    assert params["calibrated"] is False
    assert not any(key.endswith("_mm") for key in params)


def test_the_confidence_of_a_clip_is_that_of_the_frames_in_which_something_was_found(loaded):
    pixels = np.zeros((400, 64, 2), np.float32)
    pixels[:, 20:40, 0] = 200
    found = predict_image(_frame(pixels), _loaded(loaded, _Constant()), settings(), CPU)
    assert found.mask[:, :, 0].any()
    assert not found.mask[:, :, 1].any()
    assert found.confidence == pytest.approx(1.0, abs=1e-3)


@pytest.mark.parametrize("p", [0.5, 0.2, 0.0])
def test_nothing_found(loaded, clip, p):
    found = predict_image(_frame(clip), _loaded(loaded, _Constant(p)), settings(), CPU)
    assert not found.mask.any()
    assert found.confidence is None
    measured = measure_probability(found.probability, MM)
    assert len(measured) == 6
    assert all(one.columns == 0 and "no_layer" in one.flags for one in measured)
    assert found.pld >= 0.0


@pytest.mark.parametrize("shape", [(1, 1, 1), (2, 3, 1), (33, 31, 2), (1, 90, 1)])
@pytest.mark.parametrize("value", [None, 0.0, 65535.0])
def test_tiny_and_constant_frames(loaded, shape, value):
    pixels = np.random.default_rng(0).random(shape) if value is None else np.full(shape, value)
    found = predict_image(_frame(pixels), loaded, settings(), CPU)
    assert found.mask.shape == shape
    assert np.isfinite(found.probability).all()
    assert np.isfinite(found.pld)
    assert found.confidence is None or 0.0 <= found.confidence <= 1.0


def test_a_large_frame_respects_the_limit(loaded):
    pixels = np.random.default_rng(0).integers(0, 255, (1500, 1100, 1))
    found = predict_image(_frame(pixels), loaded, settings(max_working_pixels=65536), CPU)
    assert found.mask.shape == (1500, 1100, 1)


def test_expected_dice_by_hand():
    # Mask: the two pixels over 0.5. 2 · 1.5 / (1.5 + 0.4 + 2)
    assert expected_dice(np.array([[0.9, 0.6, 0.4]], np.float32)) == pytest.approx(3.0 / 3.9)
    assert expected_dice(np.array([[0.3, 0.1]], np.float32)) is None
    assert expected_dice(np.ones((2, 2), np.float32)) == 1.0


def test_expected_dice_is_the_mean_dice_over_worlds_that_the_map_describes():
    """Where the probabilities are right, drawing truths from them gives about this Dice."""
    rng = np.random.default_rng(0)
    p = rng.beta(0.5, 0.5, (40, 40)).astype(np.float32)
    mask = p > 0.5
    truths = rng.random((300, 40, 40)) < p
    dice = 2 * (truths & mask).sum(axis=(1, 2)) / (truths.sum(axis=(1, 2)) + mask.sum())
    assert expected_dice(p) == pytest.approx(dice.mean(), abs=0.005)


def test_modes_are_as_they_were(loaded, clip):
    student = loaded.pair.student
    student.train()
    before = {k: v.clone() for k, v in student.state_dict().items()}
    (training,) = _log_p(_frame(clip), student)
    assert student.training
    assert all(torch.equal(before[k], v) for k, v in student.state_dict().items())
    student.eval()
    (evaluating,) = _log_p(_frame(clip), student)
    torch.testing.assert_close(training, evaluating)


def test_one_network_alone_says_the_same(loaded, clip):
    working = frame_to_working(_frame(clip), settings())
    teacher, _ = _log_p(_frame(clip), loaded.pair.teacher, loaded.pair.student)
    model = model_of(settings())
    alone = predict(loaded.pair.teacher, working, model, CPU)
    both = model.to_native(teacher, working.grid)
    np.testing.assert_array_equal(alone.foreground, both.foreground)
    np.testing.assert_array_equal(alone.classes, both.classes)
    assert alone.foreground.shape == (96, 64, 6)


def test_a_network_named_twice_runs_once(clip):
    class Counting(_Constant):
        calls = 0

        def forward(self, x):
            self.calls += 1
            return super().forward(x)

    network, working = Counting(0.3), frame_to_working(_frame(clip), settings())
    found = log_probabilities((network, network), working.pixels, working.grid, CPU)
    assert network.calls == 2  # six frames, four at once
    assert found[network].shape == (6, 2, 48, 64)
    torch.testing.assert_close(found[network].exp().sum(dim=1), torch.ones(6, 48, 64))


def test_an_ensemble_is_the_mean_of_its_members_and_runs_none_of_them_twice(clip):
    class Counting(_Constant):
        calls = 0

        def forward(self, x):
            self.calls += 1
            return super().forward(x)

    one, other, working = Counting(0.9), Counting(0.3), frame_to_working(_frame(clip[:, :, :1]), settings())
    both = Ensemble([one, other])
    found = log_probabilities((both, one, other), working.pixels, working.grid, CPU)
    assert (one.calls, other.calls) == (1, 1)
    torch.testing.assert_close(found[both].exp(), (found[one].exp() + found[other].exp()) / 2)
    alone = log_probabilities((both,), working.pixels, working.grid, CPU)[both]
    torch.testing.assert_close(alone, found[both])
    padded = working.grid.pad(working.pixels.float())
    torch.testing.assert_close(working.grid.crop(both(padded)).softmax(dim=1), found[both].exp())


def test_cuda_that_is_not_there(monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    assert choose_device("auto") == CPU
    assert choose_device("cpu") == CPU
    with pytest.raises(SettingsError, match="cuda"):
        choose_device("cuda")
