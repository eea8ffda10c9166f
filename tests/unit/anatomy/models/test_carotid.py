from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from sequal.anatomy.model import NativePrediction
from sequal.anatomy.models import model_of
from sequal.anatomy.models.carotid import Carotid
from sequal.files.imaging import Calibration, Frame, read_frame
from unit.synthetic_study import settings, write_image


@pytest.fixture
def frame(tmp_path):
    """Tissue of 160, a lumen whose spread is a tenth to half of that, and a layer of 0.6 mm in rows 70 to 80."""

    def make(lumen):
        pixels = np.full((100, 120, 1), 160.0)
        pixels[:, 10:70] = 0
        pixels[::2, 10:70] = 2 * lumen
        pixels[:, 0] = 0
        return read_frame(write_image(tmp_path / f"{lumen}.nii.gz", pixels))

    return make


def _label(value=1):
    label = np.zeros((100, 120, 1), np.uint8)
    label[20:80, 70:80] = value
    return label


def test_the_surroundings_of_labels_are_an_uneven_lumen_above_them_and_not_that_of_one_in_a_shadow(frame):
    model = model_of(settings())
    shadow = frame(16)
    shadow.pixels[:, 80:] = 1
    labels = [*[(_label(), frame(16))] * 2, *[(_label(), frame(80))] * 3, (_label(), shadow)]
    assert model.surroundings(labels)["uneven_lumen"] == pytest.approx(80 / 160, abs=0.01)
    assert model.surroundings([(_label(), frame(16))])["uneven_lumen"] == pytest.approx(16 / 160, abs=0.01)
    assert model.surroundings([(_label(0), frame(80)), (_label(255), frame(80))]) == {"uneven_lumen": 0.0}


@pytest.mark.parametrize(
    ("surroundings", "shown"),
    [(None, False), ({"uneven_lumen": 0.0}, False), ({"uneven_lumen": 0.4}, True), ({}, True)],
)
def test_an_unsure_layer_is_shown_where_labels_lie_below_as_uneven_a_lumen(frame, surroundings, shown):
    model = model_of(settings())
    probability = np.where(_label() == 1, 0.8, 0.01).astype(np.float32)
    prediction = NativePrediction(_label(), probability, np.maximum(probability, 1 - probability))
    assert model.clean(prediction, frame(80), surroundings).classes.any() == shown


@pytest.mark.parametrize(("labelled_mm", "shown"), [(None, False), (12.5, False), (6.0, True)])
def test_a_layer_as_short_as_a_vessel_is_wide_is_shown_where_labels_are_as_short(frame, labelled_mm, shown):
    """A layer of 5 mm below an even lumen, in a scan of 20 mm."""
    model, image = model_of(settings()), replace(frame(0), calibration=Calibration((0.2, 0.2), "given"))
    image.pixels[:, 10:70] = 16
    label = np.zeros_like(_label())
    label[20:45, 70:80] = 1
    probability = np.where(label == 1, 0.99, 0).astype(np.float32)
    prediction = NativePrediction(label, probability, np.maximum(probability, 1 - probability))
    drawn = np.zeros_like(label)
    drawn[: round((labelled_mm or 0) / 0.2), 70:80] = 1
    surroundings = model.surroundings([(drawn, image)]) if labelled_mm else None
    assert model.clean(prediction, image, surroundings).classes.any() == shown


def _soft_layer(frames, top=20.0, bottom=30.0):
    rows = np.arange(60)
    odds = np.minimum(rows - top + 0.5, bottom - rows - 0.5)
    one = np.tile((1 / (1 + np.exp(-odds))).astype(np.float32), (40, 1))
    foreground = np.repeat(one[:, :, None], frames, axis=2)
    return NativePrediction((foreground > 0.5).astype(np.uint8), foreground, np.maximum(foreground, 1 - foreground))


def _seen(label, mm=None, **changes):
    grid = label.shape
    frame = Frame(np.zeros(grid, np.float32), np.eye(4), grid, Calibration(mm, "given"), Path("a.nii.gz"))
    return _soft_layer(grid[2], **changes), label, frame


def _layer_label(frames, top=20, bottom=30):
    label = np.zeros((40, 60, frames), np.uint8)
    label[:, top:bottom] = 1
    return label


@pytest.mark.parametrize("frames", [1, 2])
@pytest.mark.parametrize("mm", [None, (0.1, 0.05)])
def test_masks_that_are_thicker_than_the_labels_are_made_thinner(frames, mm):
    model = Carotid(settings())
    thick = _seen(_layer_label(frames), mm, top=19.0, bottom=31.0)
    assert model.logit_offset([thick] * 6) < -0.5
    assert model.logit_offset([_seen(_layer_label(frames), mm)] * 6) == pytest.approx(0, abs=0.05)
    assert model.logit_offset([]) == 0


def test_a_label_of_another_place_and_a_frame_in_which_nothing_is_shown_say_nothing_about_the_thickness():
    model, seen = Carotid(settings()), _seen(_layer_label(2), top=19.0, bottom=31.0)
    elsewhere = _seen(_layer_label(2, 40, 58))
    empty = (_soft_layer(2, 100.0, 90.0), _layer_label(2), seen[2])
    assert model.logit_offset([seen, elsewhere, empty]) == model.logit_offset([seen])
