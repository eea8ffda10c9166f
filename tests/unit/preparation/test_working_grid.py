import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sequal.files.imaging import NOT_CALIBRATED, Calibration
from sequal.preparation.normalisation import normalise_intensity
from sequal.preparation.working_grid import WorkingGrid

MM = Calibration((0.06, 0.06), "given")


def _grid(native, calibration=MM, max_pixels=1_000_000):
    return WorkingGrid.of(native, calibration, 0.06, max_pixels)


def test_sizes_by_hand():
    # 0.06 mm along the depth and 0.12 mm across.
    assert _grid((400, 300)).working == (200, 300)
    assert _grid((400, 300), Calibration((0.12, 0.03), "given")).working == (400, 150)
    assert _grid((400, 300), NOT_CALIBRATED).working == (200, 300)
    assert _grid((400, 300)).padded == (224, 320)
    assert _grid((1, 1)).working == (1, 1)
    assert _grid((1, 1)).padded == (32, 32)


@pytest.mark.parametrize("native", [(1, 1), (2, 3), (31, 33), (97, 61), (1, 200), (200, 1)])
def test_the_way_back_ends_on_the_frames_own_grid(native):
    grid = _grid(native)
    x = grid.image_to_working(np.random.default_rng(0).random(native, dtype=np.float32))
    assert x.shape == (1, *grid.working)
    padded = grid.pad(x[None])
    assert padded.shape[-2:] == grid.padded
    assert all(side % 32 == 0 for side in grid.padded)
    assert torch.equal(grid.crop(padded), x[None])
    back = grid.to_native(x)
    assert back.shape == (1, *native)
    assert back.dtype == np.float32


@given(
    st.integers(1, 5000),
    st.integers(1, 5000),
    st.floats(0.005, 0.5),
    st.floats(0.005, 0.5),
    st.integers(65_536, 2_000_000),
)
def test_no_working_frame_is_too_large(width, height, dx, dy, most):
    grid = _grid((width, height), Calibration((dx, dy), "given"), most)
    assert 1 <= grid.working[0] * grid.working[1] <= most
    assert min(grid.working) >= 1


def test_a_huge_frame_is_coarsened_in_both_directions():
    grid = _grid((4000, 3000))
    # 2000 x 3000 is six times too large: both sides shrink by √6.
    assert grid.working == (816, 1224)
    rng = np.random.default_rng(0)
    back = grid.to_native(grid.image_to_working(rng.random((4000, 3000), dtype=np.float32)))
    assert back.shape == (1, 4000, 3000)


@pytest.mark.parametrize(
    ("native", "spacing"), [((160, 120), (0.06, 0.06)), ((161, 119), (0.05, 0.08)), ((90, 200), (0.1, 0.04))]
)
def test_a_smooth_map_survives_the_round_trip(native, spacing):
    x, y = np.meshgrid(*(np.linspace(0, 1, n) for n in native), indexing="ij")
    smooth = (0.5 + 0.5 * np.sin(5 * x) * np.cos(4 * y)).astype(np.float32)
    grid = _grid(native, Calibration(spacing, "given"))
    back = grid.to_native(grid.image_to_working(smooth))[0]
    assert np.abs(back - smooth)[2:-2, 2:-2].max() < 2e-3
    # The border repeats its last pixel, so only there the error may be larger.
    assert np.abs(back - smooth).max() < 0.03


def test_an_edge_does_not_move():
    """Half-pixel shifts would show up as a bias of every thickness."""
    depth = np.arange(200)
    edge = np.clip((depth - 99.5) / 6 + 0.5, 0, 1).astype(np.float32)
    image = np.tile(edge, (80, 1))
    for spacing in [(0.06, 0.06), (0.05, 0.04), (0.09, 0.1)]:
        grid = _grid((80, 200), Calibration(spacing, "given"))
        back = grid.to_native(grid.image_to_working(image))[0]
        crossings = [np.interp(0.5, row, depth) for row in back]
        np.testing.assert_allclose(crossings, 99.5, atol=0.02)


def test_an_edge_is_at_its_place_on_the_working_grid():
    """Pixel centres at integers: depth y lies at (y + 0.5) · dy / 0.06 − 0.5 there."""
    depth = np.arange(200)
    image = np.tile(np.clip((depth - 19.5) / 6 + 0.5, 0, 1).astype(np.float32), (80, 1))
    for dy in (0.06, 0.045, 0.1):
        grid = _grid((80, 200), Calibration((0.06, dy), "given"))
        rows = grid.image_to_working(image)[0].numpy()
        scale = grid.working[1] / 200
        expected = 20.0 * scale - 0.5
        for row in rows:
            assert np.interp(0.5, row, np.arange(row.size)) == pytest.approx(expected, abs=0.03)


def test_probabilities_stay_between_zero_and_one():
    rng = np.random.default_rng(0)
    grid = _grid((50, 70), Calibration((0.1, 0.1), "given"))
    back = grid.to_native(torch.from_numpy(rng.integers(0, 2, (3, *grid.working))))
    assert back.shape == (3, 50, 70)
    assert back.min() >= 0.0
    assert back.max() <= 1.0


@settings(deadline=None, max_examples=25)
@given(st.integers(20, 90), st.integers(20, 90), st.floats(0.04, 0.1), st.integers(0, 99))
def test_a_label_keeps_its_classes_and_their_shares(width, height, dx, seed):
    rng = np.random.default_rng(seed)
    label = np.zeros((width, height), np.uint8)
    label[:, height // 3 : 2 * height // 3] = 1
    label[rng.integers(1, width - 4) :] = 255
    out = _grid((width, height), Calibration((dx, 0.06), "given")).label_to_working(label)
    assert set(np.unique(out)) <= {0, 1, 255}
    for value in (0, 1, 255):
        # One working column or row at most is decided the other way.
        tolerance = 1.0 / min(out.shape) + 1.0 / min(label.shape)
        assert np.mean(out == value) == pytest.approx(np.mean(label == value), abs=tolerance)


def test_a_label_on_its_own_grid_is_untouched():
    label = np.array([[0, 1, 255], [255, 0, 1]], np.uint8)
    grid = WorkingGrid((2, 3), (2, 3))
    np.testing.assert_array_equal(grid.label_to_working(label), label)


def test_unknown_does_not_become_background_by_averaging():
    label = np.full((40, 40), 255, np.uint8)
    assert (_grid((40, 40)).label_to_working(label) == 255).all()


@pytest.mark.parametrize("value", [0.0, 7.0, 65535.0, -3.0])
def test_a_constant_frame_becomes_zeros(value):
    out = normalise_intensity(np.full((6, 5), value, np.float32))
    assert (out == 0).all()
    assert out.dtype == np.float32


@pytest.mark.parametrize(("scale", "offset"), [(1.0, 0.0), (257.0, 0.0), (0.001, -4.0)])
def test_bits_and_units_do_not_matter(scale, offset):
    pixels = np.random.default_rng(0).integers(0, 256, (64, 48)).astype(np.float32)
    out = normalise_intensity((pixels * np.float32(scale) + np.float32(offset)).astype(np.float32))
    np.testing.assert_allclose(out, normalise_intensity(pixels), atol=2e-4)
    assert (out.min(), out.max()) == (0.0, 1.0)


def test_normalisation_by_hand():
    # 1001 values 0..1000: the percentiles are 5 and 995.
    pixels = np.arange(1001, dtype=np.float32).reshape(1, -1)
    out = normalise_intensity(pixels)[0]
    assert out[[0, 5, 995, 1000]].tolist() == [0.0, 0.0, 1.0, 1.0]
    assert out[500] == pytest.approx(0.5)


def test_a_ruler_does_not_darken_the_tissue():
    pixels = np.random.default_rng(0).uniform(0, 100, (100, 100)).astype(np.float32)
    plain = normalise_intensity(pixels)
    pixels[0, :20] = 60_000
    assert np.abs(normalise_intensity(pixels)[1:] - plain[1:]).max() < 0.02


def test_a_few_bright_pixels_on_nothing_are_seen():
    pixels = np.zeros((100, 100), np.float32)
    pixels[5, 5] = 9
    assert normalise_intensity(pixels)[5, 5] == 1.0
