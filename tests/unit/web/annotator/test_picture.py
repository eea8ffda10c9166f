import io

import numpy as np
import pytest
from PIL import Image

from lib.web.annotator import frame_picture


def _shown(pixels: np.ndarray) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(frame_picture(pixels.astype(np.float32))))).T


def test_8_bit_grey_is_shown_as_it_is():
    pixels = np.array([[0, 7, 255], [128, 3, 90]])
    np.testing.assert_array_equal(_shown(pixels), pixels)


@pytest.mark.parametrize("factor", [16.0, 1 / 255, -1.0])
def test_other_ranges_are_scaled_to_what_a_screen_shows(factor):
    pixels = factor * np.linspace(0, 255, 60).reshape(6, 10)
    shown = _shown(pixels).astype(float)
    assert (shown.min(), shown.max()) == (0, 255)
    assert np.corrcoef(shown.ravel(), pixels.ravel())[0, 1] > 0.99


def test_a_constant_frame_is_black():
    assert not _shown(np.full((4, 3), 1000.0)).any()
